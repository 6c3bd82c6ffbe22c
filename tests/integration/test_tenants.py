"""Tenants, keys, credits taken back, and the audit trail, in the real database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from adapters.database.audit import audit_events
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.tenant_lists import key_lines, tenant_lines
from adapters.database.tenant_usage import PostgresTenantUsages
from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from domain.credits import Balance
from domain.errors import (
    InsufficientCredits,
    InvalidInput,
    ReferenceReused,
    TenantNotFound,
    Unauthenticated,
)
from domain.tenant import FileUsage, TenantUsage
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request

OPERATOR = Actor("ada@desk", "asked for by mail")


@pytest.fixture
def tenants(database: Database) -> PostgresTenants:
    return PostgresTenants(database)


async def actions(database: Database, tenant_id: str) -> list[tuple[str, str, str]]:
    """Return action, actor and reason of a tenant's events, oldest first."""
    found = await audit_events(database, tenant_id, 100)
    return [(event.action, event.actor, event.reason) for event in reversed(found)]


async def test_every_change_is_in_the_audit_trail_once(
    database: Database, tenants: PostgresTenants, books: PostgresBooks
) -> None:
    accounts, who = PostgresCreditAccounts(database), ("ada@desk", "asked for by mail")
    tenant_id = await tenants.create("Acme", new_id("ten"), by=OPERATOR)
    await tenants.create("Acme", tenant_id, by=OPERATOR)
    key = await tenants.create_key(tenant_id, [Scope.READ_CREDITS], name="ci", by=OPERATOR)
    for _ in range(2):
        await accounts.grant(tenant_id, 10, "first", by=OPERATOR)
        await accounts.withdraw(tenant_id, 4, "wrong account", by=OPERATOR)
        await tenants.revoke_key(key.key_id, by=OPERATOR)
        await tenants.suspend(tenant_id, by=OPERATOR)
    await tenants.resume(tenant_id, by=OPERATOR)
    await tenants.set_limits(tenant_id, {"max_files": 3}, by=OPERATOR)

    assert await actions(database, tenant_id) == [
        (action, *who)
        for action in (
            *("create_tenant", "create_key", "grant_credits", "withdraw_credits", "revoke_key"),
            *("suspend_tenant", "resume_tenant", "set_limits"),
        )
    ]
    secret = key.api_key.rpartition("_")[2]
    assert secret not in str(await audit_events(database, tenant_id, 100))
    await books.assert_consistent(tenant_id)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET actor = 'nobody'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_audit_trail_cannot_be_changed(
    tenants: PostgresTenants, owners_books: PostgresBooks, statement: str
) -> None:
    await tenants.create("Acme", by=OPERATOR)
    with pytest.raises(DBAPIError, match="append-only"):
        await owners_books.sql(statement)


async def test_a_change_that_fails_leaves_no_event(database: Database, tenants: PostgresTenants) -> None:
    accounts, tenant_id = PostgresCreditAccounts(database), await tenants.create("Acme")
    before = await actions(database, tenant_id)
    with pytest.raises(InsufficientCredits):
        await accounts.withdraw(tenant_id, 1, "too much", by=OPERATOR)
    with pytest.raises(InvalidInput):
        await accounts.grant(tenant_id, 0, "nothing", by=OPERATOR)
    assert await actions(database, tenant_id) == before


async def test_credits_are_taken_back_once_and_never_those_that_are_held(
    database: Database, books: PostgresBooks
) -> None:
    accounts, tenant_id = PostgresCreditAccounts(database), await books.tenant(10)
    await accounts.withdraw(tenant_id, 4, "a", by=OPERATOR)
    assert await accounts.withdraw(tenant_id, 4, "a", by=OPERATOR) == Balance(6, 0, 0)
    with pytest.raises(ReferenceReused, match="used for another amount"):
        await accounts.withdraw(tenant_id, 5, "a", by=OPERATOR)
    with pytest.raises(InsufficientCredits, match="6 credits are available"):
        await accounts.withdraw(tenant_id, 7, "b", by=OPERATOR)
    # The same reference may name a grant.
    assert await accounts.grant(tenant_id, 4, "a", by=OPERATOR) == Balance(10, 0, 0)
    [entry, *_] = await accounts.list_entries(tenant_id, before=None, limit=10)
    assert (entry.kind, entry.amount) == ("grant", 4)
    await books.assert_consistent(tenant_id)


async def test_tenants_that_do_not_exist_are_not_changed(
    database: Database, tenants: PostgresTenants
) -> None:
    accounts, unknown = PostgresCreditAccounts(database), new_id("ten")
    for attempt in (
        accounts.grant(unknown, 1, "a", by=OPERATOR),
        accounts.withdraw(unknown, 1, "a", by=OPERATOR),
        tenants.suspend(unknown, by=OPERATOR),
        tenants.resume(unknown, by=OPERATOR),
        tenants.set_limits(unknown, {"max_files": 1}, by=OPERATOR),
        tenants.create_key(unknown, [Scope.READ_CREDITS]),
    ):
        with pytest.raises(TenantNotFound):
            await attempt


async def test_limits_are_changed_one_by_one_and_taken_back(tenants: PostgresTenants) -> None:
    tenant_id = await tenants.create("Acme")
    assert await tenants.set_limits(tenant_id, {"max_files": 3.0}, by=OPERATOR) == {"max_files": 3}
    both = {"max_files": 3, "create_burst": 5}
    assert await tenants.set_limits(tenant_id, {"create_burst": 5.0}, by=OPERATOR) == both
    assert await tenants.set_limits(tenant_id, {"max_files": None}, by=OPERATOR) == {"create_burst": 5}
    key = await tenants.create_key(tenant_id, [Scope.READ_CREDITS], limits={"read_burst": 1.0})
    caller = await tenants.authenticate(key.api_key)
    assert (caller.tenant_limits, caller.key_limits) == ({"create_burst": 5}, {"read_burst": 1})


async def test_keys_are_listed_with_their_use_and_expiry(
    database: Database, tenants: PostgresTenants, books: PostgresBooks
) -> None:
    tenant_id = await tenants.create("Acme")
    used = await tenants.create_key(tenant_id, [Scope.READ_CREDITS], name="ci", lifetime=timedelta(days=2))
    idle = await tenants.create_key(tenant_id, tuple(Scope))
    await tenants.authenticate(used.api_key)
    with pytest.raises(Unauthenticated):
        await tenants.authenticate(idle.api_key + "x")
    await tenants.revoke_key(idle.key_id)

    lines = {line.key_id: line for line in await key_lines(database, tenant_id)}
    first, second = lines[used.key_id], lines[idle.key_id]
    assert (first.name, first.scopes, first.is_valid) == ("ci", ["credits:read"], True)
    now = datetime.now(UTC)
    assert first.last_used_at is not None
    assert abs(first.last_used_at - now) < timedelta(minutes=2)
    assert first.expires_at is not None
    assert abs(first.expires_at - now - timedelta(days=2)) < timedelta(minutes=2)
    assert (second.last_used_at, second.expires_at, second.is_valid) == (None, None, False)
    assert second.revoked_at is not None

    await books.sql("UPDATE api_keys SET expires_at = now() WHERE id = :id", id=used.key_id)
    with pytest.raises(Unauthenticated):
        await tenants.authenticate(used.api_key)
    assert not any(line.is_valid for line in await key_lines(database, tenant_id))


async def test_the_use_of_a_key_is_noted_once_a_minute(
    tenants: PostgresTenants, books: PostgresBooks
) -> None:
    key = await tenants.create_key(await tenants.create("Acme"), [Scope.READ_CREDITS])

    async def noted() -> Any:
        [(at,)] = await books.sql("SELECT last_used_at FROM api_keys WHERE id = :id", id=key.key_id)
        return at

    await tenants.authenticate(key.api_key)
    first = await noted()
    await tenants.authenticate(key.api_key)
    assert await noted() == first
    older = "UPDATE api_keys SET last_used_at = now() - interval '61 seconds' WHERE id = :id"
    await books.sql(older, id=key.key_id)
    await tenants.authenticate(key.api_key)
    assert await noted() > first


@pytest.mark.parametrize("fields", [{"name": "x" * 201}, {"lifetime": timedelta(0)}], ids=str)
async def test_a_bad_key_is_not_made(
    database: Database, tenants: PostgresTenants, fields: dict[str, Any]
) -> None:
    tenant_id = await tenants.create("Acme")
    with pytest.raises(InvalidInput):
        await tenants.create_key(tenant_id, [Scope.READ_CREDITS], **fields)
    assert await key_lines(database, tenant_id) == []


async def test_tenants_are_listed_page_by_page(database: Database, tenants: PostgresTenants) -> None:
    tenant_id = await tenants.create("Acme", new_id("ten"))
    await PostgresCreditAccounts(database).grant(tenant_id, 7, "first")
    await tenants.set_limits(tenant_id, {"max_files": 3.0}, by=OPERATOR)
    await tenants.suspend(tenant_id, by=OPERATOR)
    [line] = await tenant_lines(database, after=tenant_id[:-1], limit=1)
    assert (line.tenant_id, line.available_credits, line.held_credits) == (tenant_id, 7, 0)
    assert (line.limits, line.uncharged_credits_today) == ({"max_files": 3}, 0)
    assert line.suspended_at is not None
    assert tenant_id not in [line.tenant_id for line in await tenant_lines(database, after=tenant_id)]


async def test_usage_is_counted_up_to_a_limit(database: Database, books: PostgresBooks) -> None:
    usages, tenant_id = PostgresTenantUsages(database), await books.tenant(10)
    assert await usages.read_usage(tenant_id, max_generations=10) == TenantUsage(10, 0, 0, 0)
    for _ in range(4):
        await books.add(tenant_id, request())
    assert await usages.read_usage(tenant_id, max_generations=10) == TenantUsage(10, 4, 4, 0)
    assert (await usages.read_usage(tenant_id, max_generations=1)).waiting_generations == 2
    assert await usages.read_file_usage(tenant_id, max_files=10) == FileUsage(0, 0)
    assert await usages.read_usage(new_id("ten"), max_generations=10) == TenantUsage(0, 0, 0, 0)
