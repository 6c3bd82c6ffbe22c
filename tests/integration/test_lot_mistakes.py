"""Mistakes that others paid for, where credits are granted, expire and are taken back."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.audit import SYSTEM
from domain.credits import Balance, HoldState
from domain.errors import ReferenceReused, ResultUnusable
from domain.generation import Status, TerminalState
from domain.lots import Grant, Granted, LotCategory, TakeBack
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.requests import new_id
from tests.support.tenant_lots import HOUR, TenantLots, tenant_lots

CANCELED = TerminalState(Status.CANCELED)
_LOCK = text("SELECT FROM accounts WHERE tenant_id = :tenant ORDER BY id FOR UPDATE")
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
# As a reserve does, at a moment at which the lot had not expired.
_HELD = text(
    "UPDATE generations SET held_credits = price_credits, stage = 'throttled', status = 'queued'"
    " WHERE id = :id"
)
_HOLD = text(
    "SELECT hold_credits(generations, clock_timestamp() - interval '2 hours') FROM generations WHERE id = :id"
)


@pytest.fixture
async def tenant(books: PostgresBooks) -> TenantLots:
    return await tenant_lots(books)


async def until_one_waits(books: PostgresBooks) -> None:
    async def waits() -> bool:
        [[count]] = await books.sql(_WAITING)
        return int(count) > 0

    await eventually(waits)


@pytest.mark.parametrize("by_operator", [True, False])
async def test_a_burn_between_read_and_lock_takes_no_paid_credit(
    tenant: TenantLots, *, by_operator: bool
) -> None:
    """A sweep found ten credits to expire; four of them are held before it has the lock."""
    lot = await tenant.promotional(10, expires_in=3 * HOUR)
    paid = await tenant.grant(10)
    await tenant.let_pass(2.5 * HOUR)
    job = await tenant.job(4)
    async with tenant.books.database.begin() as session:
        await session.execute(_LOCK, {"tenant": tenant.tenant_id})
        await tenant.let_pass(HOUR)
        ending = asyncio.create_task(
            tenant.lots.expire(lot.id, by=SYSTEM) if by_operator else tenant.lots.expire_due(1000)
        )
        await until_one_waits(tenant.books)
        await session.execute(_HELD, {"id": job})
        await session.execute(_HOLD, {"id": job})
    await ending
    found = await tenant.read(lot)
    assert (found.expired, found.held, found.remaining) == (6, 4, 0)
    assert (await tenant.read(paid)).remaining == 10
    await tenant.ledger.refund(job, CANCELED)
    assert await tenant.books.balance(tenant.tenant_id) == Balance(10, 0, 0)
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_a_payment_that_comes_many_times_at_once_is_granted_once(tenant: TenantLots) -> None:
    payment = new_id("pay")
    granting = [tenant.lots.grant(grant, by=SYSTEM) for grant in [tenant.payment(7, payment)] * 20]
    granted: list[Granted] = await asyncio.gather(*granting)
    assert [each.is_new for each in granted].count(True) == 1
    assert {each.lot for each in granted} == {granted[0].lot}
    assert await tenant.books.balance(tenant.tenant_id) == Balance(7, 0, 0)
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_a_payment_is_one_tenants(books: PostgresBooks, tenant: TenantLots) -> None:
    other, payment = await tenant_lots(books), new_id("pay")
    asked = [each.lots.grant(each.payment(7, payment), by=SYSTEM) for each in (tenant, other) * 5]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    balances = [await books.balance(each.tenant_id) for each in (tenant, other)]
    assert sorted(balance.available for balance in balances) == [0, 7]
    assert sum(isinstance(answer, ReferenceReused) for answer in answers) == 5
    for each in (tenant, other):
        await books.assert_consistent(each.tenant_id)


@pytest.mark.parametrize("is_granted", [True, False])
async def test_a_refund_that_comes_many_times_at_once_is_taken_back_once(
    tenant: TenantLots, *, is_granted: bool
) -> None:
    payment = new_id("pay")
    if is_granted:
        await tenant.grant(10, payment=payment)
    asking = [tenant.lots.take_back(tenant.tenant_id, payment, "refund", 4, by=SYSTEM) for _ in range(10)]
    taken: list[TakeBack] = await asyncio.gather(*asking)
    assert [each.is_new for each in taken].count(True) == 1
    if not is_granted:
        await tenant.grant(10, payment=payment)
    assert await tenant.books.balance(tenant.tenant_id) == Balance(6, 0, 0)
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_a_take_back_races_its_payment(tenant: TenantLots) -> None:
    """In either order, and in both, a payment that went back leaves nothing."""
    for number in range(10):
        payment = f"{tenant.tenant_id}:{number}"
        acts = [
            tenant.lots.grant(tenant.payment(5, payment), by=SYSTEM),
            tenant.lots.take_back(tenant.tenant_id, payment, "all", None, by=SYSTEM),
        ]
        await asyncio.gather(*(acts if number % 2 else reversed(acts)))
    assert await tenant.books.balance(tenant.tenant_id) == Balance(0, 0, 0)
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_a_refund_waits_for_a_grant_that_nobody_called_a_payment(tenant: TenantLots) -> None:
    """As an operator grants from a shell, or a process of the version before."""
    payment = new_id("pay")
    await tenant.lots.take_back(tenant.tenant_id, payment, "refund", 4, by=SYSTEM)
    await tenant.lots.grant(Grant(tenant.tenant_id, 10, payment), by=SYSTEM)
    assert await tenant.books.balance(tenant.tenant_id) == Balance(6, 0, 0)
    again = await tenant.lots.take_back(tenant.tenant_id, payment, "refund", 4, by=SYSTEM)
    assert (again.is_new, again.applied_credits) == (False, 4)
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_references_with_colons_are_two_refunds(tenant: TenantLots) -> None:
    first = new_id("pay")
    second = f"{first}:a"
    for payment in (first, second):
        await tenant.grant(10, payment=payment)
    await tenant.lots.take_back(tenant.tenant_id, first, "a:b", 1, by=SYSTEM)
    await tenant.lots.take_back(tenant.tenant_id, second, "b", 2, by=SYSTEM)
    assert await tenant.books.balance(tenant.tenant_id) == Balance(17, 0, 0)
    await tenant.books.assert_consistent(tenant.tenant_id)


@pytest.mark.parametrize("effective_in", [None, HOUR])
async def test_a_voided_lot_counts_nowhere(tenant: TenantLots, effective_in: timedelta | None) -> None:
    await tenant.grant(3)
    lot = await tenant.grant(10, effective_in=effective_in, expires_in=2 * HOUR)
    found = await tenant.lots.void(lot.id, by=SYSTEM)
    assert found.closed_at is not None
    assert await tenant.lots.void(lot.id, by=SYSTEM) == found
    assert await tenant.books.balance(tenant.tenant_id) == Balance(3, 0, 0)
    await tenant.sweep()
    for _ in range(2):
        await tenant.let_pass(1.5 * HOUR)
        await tenant.sweep()
        assert await tenant.books.balance(tenant.tenant_id) == Balance(3, 0, 0)
        assert (await tenant.read(lot)).expired == 0
    still_open = await tenant.lots.list_lots(tenant.tenant_id, after=None, limit=10, open_only=True)
    assert [each.granted for each in still_open] == [3]
    assert (await tenant.ledger.reserve(await tenant.job(4))).state is HoldState.INSUFFICIENT
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_an_unknown_result_is_not_taken_for_nothing_used(tenant: TenantLots) -> None:
    lot = await tenant.grant(10)
    job = await tenant.held(4)
    with pytest.raises(ResultUnusable):
        await tenant.ledger.settle(job)
    found = await tenant.read(lot)
    assert (found.remaining, found.held, found.spent) == (6, 4, 0)
    [[days]] = await tenant.books.sql(
        "SELECT count(*) FROM usage_days WHERE tenant_id = :id", id=tenant.tenant_id
    )
    assert days == 0
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_each_end_of_a_lot_touches_no_other(tenant: TenantLots) -> None:
    """Of lots that are alike, and have credits held by the same job."""
    lots = [await tenant.promotional(4) for _ in range(3)]
    paid = await tenant.grant(4, expires_in=HOUR)
    job = await tenant.held(14)
    await tenant.lots.void(lots[0].id, by=SYSTEM)
    await tenant.lots.expire(lots[1].id, by=SYSTEM)
    assert paid.category is LotCategory.PAID
    before = [await tenant.read(lot) for lot in (lots[2], paid)]
    assert [lot.held for lot in before] == [4, 2]
    await tenant.ledger.refund(job, CANCELED)
    found = [await tenant.read(lot) for lot in (*lots, paid)]
    assert [(lot.remaining, lot.voided, lot.expired) for lot in found] == [
        (0, 4, 0),
        (0, 0, 4),
        (4, 0, 0),
        (4, 0, 0),
    ]
    await tenant.books.assert_consistent(tenant.tenant_id)
