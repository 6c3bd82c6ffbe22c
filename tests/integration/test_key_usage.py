"""What counts against the caps of a key and of its tenant, as the database has it."""

from datetime import timedelta

import pytest

from adapters.database.engine import Database
from adapters.database.key_lists import PostgresKeyLists
from adapters.database.key_states import PostgresKeyStates
from adapters.database.ledger import PostgresLedger
from adapters.database.tenant_usage import PostgresTenantUsages
from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from domain.controls import Controls
from domain.credits import HoldState
from domain.errors import TenantSuspended, Unauthenticated
from domain.generation import Status, TerminalState
from domain.key_budgets import budget_of, refusals_of
from tests.support.books import PostgresBooks
from tests.support.requests import request

OPERATOR = Actor("an operator", "a test")


async def test_a_key_is_counted_from_the_post_to_the_charge(database: Database, books: PostgresBooks) -> None:
    ledger, lists = PostgresLedger(database), PostgresKeyLists(database)
    tenant_id = await books.tenant(100)
    key = await PostgresTenants(database).create_key(tenant_id, [Scope.READ_CREDITS])
    wanted = request(price_credits=4, controls=Controls(api_key_id=key.key_id))
    other = request(price_credits=4, controls=Controls(api_key_id="another"))
    first, second, _ = [await books.add(tenant_id, each) for each in (wanted, wanted, other)]

    async def counted() -> tuple[int, int, int, int]:
        usage = await lists.read_key_usage(tenant_id, key.key_id)
        spending = usage.spending
        assert 0 < usage.month_left_seconds <= timedelta(days=31).total_seconds()
        assert spending == (await lists.get_key(tenant_id, key.key_id)).spending
        return (
            usage.accepted_credits,
            spending.held_credits,
            spending.charged_credits,
            spending.all_held_credits,
        )

    assert await counted() == (8, 0, 0, 0)
    for generation_id in (first, second):
        await ledger.reserve(generation_id)
    assert await counted() == (0, 8, 0, 8)
    await books.store(first)
    await ledger.settle(first)
    await ledger.refund(second, TerminalState(Status.CANCELED))
    assert await counted() == (0, 0, 4, 0)
    # Of the month before: what is held of it is committed, and no budget of this month has it.
    third = await books.add(tenant_id, wanted)
    await ledger.reserve(third)
    await books.sql(
        "UPDATE key_spending SET month = month - interval '1 month' WHERE api_key_id = :id", id=key.key_id
    )
    assert await counted() == (0, 0, 0, 4)


async def test_what_costs_nothing_is_within_every_cap(database: Database, books: PostgresBooks) -> None:
    """Also within one that was lowered below what the key has spent, when posted and when held."""
    ledger, lists, tenants = PostgresLedger(database), PostgresKeyLists(database), PostgresTenants(database)
    tenant_id = await books.tenant(100)
    key = await tenants.create_key(tenant_id, [Scope.READ_CREDITS])
    controls = Controls(api_key_id=key.key_id)
    spent = await books.add(tenant_id, request(price_credits=4, controls=controls))
    assert (await ledger.reserve(spent)).state is HoldState.HELD
    await tenants.set_budget(key.key_id, {"monthly_budget_credits": 1, "max_held_credits": 1}, by=OPERATOR)
    caller = await tenants.authenticate(key.api_key)
    budget = budget_of(caller, await lists.read_key_usage(tenant_id, key.key_id), 0, 0)
    for price, state in ((0, HoldState.HELD), (1, HoldState.INSUFFICIENT)):
        job = await books.add(tenant_id, request(price_credits=price, controls=controls))
        assert (await ledger.reserve(job)).state is state
        assert (list(refusals_of(caller, budget, price)) == []) is (state is HoldState.HELD)


@pytest.mark.parametrize("is_soon", [True, False])
async def test_what_is_available_says_for_how_long(
    database: Database, books: PostgresBooks, *, is_soon: bool
) -> None:
    tenant_id = await books.tenant(10)
    usages = PostgresTenantUsages(database)
    assert (await usages.read_usage(tenant_id, max_generations=1)).expiry_seconds is None
    expiry = "now() + interval '30 seconds'" if is_soon else "now()"
    lifetime = f"effective_at = now() - interval '1 day', expires_at = {expiry}"
    await books.sql(f"UPDATE lots SET {lifetime} WHERE tenant_id = :id", id=tenant_id)  # noqa: S608 - constants
    usage = await usages.read_usage(tenant_id, max_generations=1)
    if is_soon:
        assert usage.available_credits == 10
        assert usage.expiry_seconds is not None
        assert 0 < usage.expiry_seconds <= 30
    else:
        # The account still has them, as no sweep has come by.
        assert (usage.available_credits, usage.expiry_seconds) == (0, None)


async def test_keys_that_are_over_and_tenants_that_are_suspended_are_told(database: Database) -> None:
    tenants, states = PostgresTenants(database), PostgresKeyStates(database)
    one, other = await tenants.create("One"), await tenants.create("Other")
    valid, revoked = [await tenants.create_key(one, [Scope.READ_CREDITS]) for _ in range(2)]
    later = await tenants.create_key(one, [Scope.READ_CREDITS], lifetime=timedelta(days=1))
    expired = await tenants.create_key(one, [Scope.READ_CREDITS], lifetime=timedelta(microseconds=1))
    await tenants.revoke_key(revoked.key_id)
    await tenants.suspend(other, by=OPERATOR)
    keys = [each.key_id for each in (valid, revoked, later, expired)]
    found = await states.refused(keys, [one, other])
    assert {id_: type(error) for id_, error in found.items()} == {
        revoked.key_id: Unauthenticated,
        expired.key_id: Unauthenticated,
        other: TenantSuspended,
    }
    assert await states.refused([], []) == {}
