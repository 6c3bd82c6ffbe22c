"""Operators' routes are there for operators' keys alone; to everybody else there is no such path.

The description is the list of what is tested, so a new route of operators is tested by being there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Engine, event, text

from adapters.database.operator_keys import PostgresOperatorKeys
from api.http import examples, operator_examples
from domain.errors import Unauthenticated
from domain.operators import OperatorScope
from tests.integration.api.operators.billing import TEST, Billing, billing_of, payment_id
from tests.integration.api.owned import books_of
from tests.integration.api.service import Service, Tenant
from tests.support.description import Operation, operations, operator_operations

EVERY = pytest.mark.parametrize("operation", operator_operations(), ids=lambda each: each.id)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
# What differs between any two responses.
OF_EVERY_RESPONSE = ("date", "x-request-id")
WRONG_KEY = f"dkop_{'0' * 16}_{'x' * 43}"
KEYED = [each for each in operations() if each.scopes is not None]


def path_of(operation: Operation, word: str = "admin") -> str:
    """Return a path of the operation; with another word, one of the same form that there is not."""
    return operation.path.format_map(operator_examples.PARAMETERS).replace("/admin/", f"/{word}/")


def bodies_of(operation: Operation, service: Service) -> Iterator[dict[str, Any]]:
    """Yield a body that is good, and others that are not."""
    [good, *_] = operator_examples.BODIES.get(operation.id, {"": {}}).values()
    json_type = {"Content-Type": "application/json"}
    yield {"json": good}
    yield {"json": {**good, "amount": -1}}
    yield {"content": b"{", "headers": json_type}
    yield {"content": b"a=b", "headers": {"Content-Type": "text/plain"}}
    yield {"content": b" " * 20_000, "headers": json_type}
    yield {"content": b" " * (service.settings.max_body_bytes + 1), "headers": json_type}


def seen(response: httpx.Response) -> tuple[int, str, dict[str, str]]:
    headers = {name: value for name, value in response.headers.items() if name not in OF_EVERY_RESPONSE}
    return response.status_code, response.text, headers


def strangers(tenant: Tenant) -> Mapping[str, list[tuple[str, str]]]:
    key = tenant.http.headers["authorization"]
    wrong = "Bearer dk_0000000000000000_secret"
    operators = f"Bearer {WRONG_KEY}"
    return {
        "nobody": [],
        "a tenant": [("Authorization", key)],
        "a wrong key": [("Authorization", wrong)],
        "another scheme": [("Authorization", f"Basic {WRONG_KEY}")],
        "no scheme": [("Authorization", WRONG_KEY)],
        "no key": [("Authorization", "Bearer")],
        "another prefix": [("Authorization", f"Bearer dkop{WRONG_KEY[5:]}")],
        "two headers": [("Authorization", operators), ("Authorization", operators)],
        "a tenant and an operator": [("Authorization", key), ("Authorization", operators)],
    }


@contextmanager
def statements_about_keys() -> Iterator[list[str]]:
    """Collect what is asked of the tables of keys, and of what operators' routes are about."""
    collected: list[str] = []

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        if any(word in statement for word in ("operator_keys", "api_keys", "payments", "grant_credits")):
            collected.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield collected
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@EVERY
async def test_to_others_it_is_a_path_that_there_is_not(
    service: Service, tenant: Tenant, operation: Operation
) -> None:
    http = await service.client(service.url)
    there, nowhere = path_of(operation), path_of(operation, "nimda")
    with statements_about_keys() as asked:
        for who, headers in strangers(tenant).items():
            for method in METHODS:
                expected = seen(await http.request(method, nowhere, headers=headers))
                assert expected[0] in (404, 400, 405), method
                assert seen(await http.request(method, there, headers=headers)) == expected, (who, method)
    assert asked == []


@EVERY
async def test_a_body_tells_others_nothing(service: Service, tenant: Tenant, operation: Operation) -> None:
    http = tenant.http
    before = await books_of(service, tenant)
    for body in bodies_of(operation, service):
        expected = seen(await http.post(path_of(operation, "nimda"), **body))
        assert seen(await http.post(path_of(operation), **body)) == expected
    assert await books_of(service, tenant) == before


@EVERY
async def test_a_wrong_operators_key_is_refused_whatever_it_asks_for(
    service: Service, operation: Operation
) -> None:
    # Another for each: one that was refused just now is not asked for again.
    http = await service.client(service.url, f"dkop_{token_hex(8)}_{'x' * 43}")
    with statements_about_keys() as asked:
        for path in (path_of(operation), "/v1/admin/nothing"):
            for method in ("GET", "POST", "OPTIONS", "DELETE"):
                refused = await http.request(method, path)
                assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
                assert "dkop_" in refused.json()["detail"]
                assert refused.headers["www-authenticate"] == "Bearer"
    assert asked, "it has to be looked up once"
    assert not [each for each in asked if "api_keys" in each]


@pytest.mark.parametrize("operation", KEYED, ids=lambda each: each.id)
async def test_an_operators_key_is_none_of_a_tenant(
    service: Service, tenant: Tenant, billing: Billing, operation: Operation
) -> None:
    path = operation.path.format_map(examples.PARAMETERS)
    with statements_about_keys() as asked:
        refused = await billing.http.request(operation.method, path)
    assert refused.status_code == 401, refused.text
    assert asked == []


async def test_a_revoked_key_is_refused_from_the_next_request_on(service: Service, billing: Billing) -> None:
    path = "/v1/admin/grants/none"
    assert (await billing.http.get(path)).status_code == 404

    keys = PostgresOperatorKeys(service.database)
    assert await keys.revoke(billing.key_id, by=TEST)

    assert (await billing.http.get(path)).status_code == 401
    assert not await keys.revoke(billing.key_id, by=TEST)
    actions = await service.words(
        "SELECT action FROM audit_events WHERE subject = :key AND tenant_id IS NULL ORDER BY id",
        key=billing.key_id,
    )
    assert actions == ["create_operator_key", "revoke_operator_key"]


async def test_an_expired_key_is_refused_by_the_databases_clock(service: Service, billing: Billing) -> None:
    assert (await billing.http.get("/v1/admin/grants/none")).status_code == 404
    async with service.database.begin() as session:
        expire = text("UPDATE operator_keys SET expires_at = now() WHERE id = :id")
        await session.execute(expire, {"id": billing.key_id})
    assert (await billing.http.get("/v1/admin/grants/none")).status_code == 401


async def test_the_use_of_a_key_is_noted_once_a_minute(service: Service, billing: Billing) -> None:
    keys = PostgresOperatorKeys(service.database)

    async def last_used() -> list[str]:
        query = "SELECT coalesce(last_used_at::text, '') FROM operator_keys WHERE id = :id"
        return await service.words(query, id=billing.key_id)

    assert await last_used() == [""]
    await keys.authenticate(billing.operator_key)
    first = await last_used()
    await keys.authenticate(billing.operator_key)
    assert await last_used() == first != [""]


@pytest.mark.parametrize("change", [lambda key: key + "x", lambda key: key[:-1], lambda key: key[2:]])
async def test_a_key_is_genuine_as_a_whole_only(service: Service, billing: Billing, change: Any) -> None:
    keys = PostgresOperatorKeys(service.database)
    with pytest.raises(Unauthenticated):
        await keys.authenticate(change(billing.operator_key))


async def test_who_may_only_read_grants_nothing(service: Service, tenant: Tenant, billing: Billing) -> None:
    reader = await billing_of(service, (OperatorScope.READ_GRANTS,))
    reference = payment_id()
    before = await books_of(service, tenant)

    for refused in (
        await reader.grant(tenant, 5, reference),
        await reader.take_back(tenant, reference, "re_1"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")

    assert await books_of(service, tenant) == before
    await billing.granted(tenant, 5, reference)
    assert (await reader.payment(reference))["grant"]["granted"] == 5
    assert (await billing.payment(reference))["reference"] == reference


async def test_an_operator_is_told_which_methods_there_are(billing: Billing) -> None:
    options = await billing.http.options("/v1/admin/grants")
    assert (options.status_code, options.headers["allow"]) == (204, "POST, OPTIONS")
    refused = await billing.http.delete("/v1/admin/grants")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, OPTIONS")
    head = await billing.http.head("/v1/admin/grants/none")
    assert (head.status_code, head.content) == (404, b"")
    unknown = await billing.http.get("/v1/admin/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_an_operators_body_is_small(tenant: Tenant, billing: Billing) -> None:
    refused = await billing.http.post(
        "/v1/admin/grants", content=b" " * 20_000, headers={"Content-Type": "application/json"}
    )
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


async def test_what_is_left_of_a_keys_allowance_is_told(service: Service, billing: Billing) -> None:
    answer = await billing.http.get("/v1/admin/grants/none")
    quota = service.settings.operator_call_burst
    assert answer.headers["ratelimit-policy"].startswith(f'"operator";q={quota};')
    assert answer.headers["ratelimit"].startswith('"operator";r=')


@EVERY
async def test_the_examples_of_operators_run(
    service: Service, tenant: Tenant, billing: Billing, operation: Operation
) -> None:
    ids = {"tenant_id": tenant.id, "reference": payment_id()}
    await billing.granted(tenant, 1000, ids["reference"])
    for body in operator_examples.BODIES.get(operation.id, {"": None}).values():
        named = {**(body or {}), **({"tenant_id": tenant.id} if body else {})}
        if "payment_reference" in named:
            named["payment_reference"] = ids["reference"]
        path = operation.path.format_map(ids)
        answer = await billing.http.request(operation.method, path, json=named if body else None)
        assert answer.is_success, answer.text
