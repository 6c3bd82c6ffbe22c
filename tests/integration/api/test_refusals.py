"""Every operation that needs a key: without one, with a revoked one, a suspended tenant's, or no scope.

That each is refused for this and for nothing else shows test_examples.py.
"""

from collections.abc import AsyncIterator

import pytest

from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope, scopes_beyond
from tests.integration.api.owned import Owner, books_of, calls_of, owner_of
from tests.integration.api.service import Service
from tests.support.description import OF_ANY_KEY, Operation, operations, refusal_of

KEYED = [each for each in operations() if each.scopes is not None]
EVERY = pytest.mark.parametrize("operation", KEYED, ids=lambda each: each.id)


@pytest.fixture(scope="module")
async def owner(service: Service) -> AsyncIterator[Owner]:
    owner = await owner_of(await service.tenant())
    yield owner
    await owner.close()


async def assert_refused(
    service: Service, owner: Owner, operation: Operation, api_key: str | None, expected: tuple[int, str]
) -> None:
    """Send its calls with another key of the owner; nothing that the owner has may change."""
    http = await service.client(service.url, api_key)
    before = await books_of(service, owner.tenant)
    for call in calls_of(operation, owner):
        refused = await call.send(http)
        assert refusal_of(operation, refused) == expected
        assert (refused.headers.get("www-authenticate") == "Bearer") == (expected[0] == 401)
    assert await books_of(service, owner.tenant) == before


@EVERY
async def test_a_key_is_needed(service: Service, owner: Owner, operation: Operation) -> None:
    for api_key in (None, "dk_0000000000000000_secret"):
        await assert_refused(service, owner, operation, api_key, (401, "unauthenticated"))


@EVERY
async def test_a_revoked_key_is_refused(service: Service, owner: Owner, operation: Operation) -> None:
    tenants = PostgresTenants(service.database)
    key = await tenants.create_key(owner.tenant.id, tuple(Scope))
    await tenants.revoke_key(key.key_id)

    await assert_refused(service, owner, operation, key.api_key, (401, "unauthenticated"))


@pytest.mark.parametrize(
    "operation", [each for each in KEYED if each.id not in OF_ANY_KEY], ids=lambda each: each.id
)
async def test_the_scope_is_needed(service: Service, owner: Owner, operation: Operation) -> None:
    assert operation.scopes, "which scope a key needs is not described"
    others = [scope for scope in Scope if scopes_beyond(operation.scopes, (scope,))]
    key = await PostgresTenants(service.database).create_key(owner.tenant.id, others)

    await assert_refused(service, owner, operation, key.api_key, (403, "scope_missing"))


async def test_a_suspended_tenant_may_do_nothing(service: Service) -> None:
    owner = await owner_of(await service.tenant())
    tenants, operator = PostgresTenants(service.database), Actor("operator", reason="a test")
    api_key = owner.tenant.http.headers["authorization"].partition(" ")[2]
    await tenants.suspend(owner.tenant.id, by=operator)

    for operation in KEYED:
        await assert_refused(service, owner, operation, api_key, (403, "tenant_suspended"))

    await tenants.resume(owner.tenant.id, by=operator)
    await owner.close()
