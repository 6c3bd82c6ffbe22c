"""Only the database's clock says when a lot expires, read when the accounts are locked."""

import asyncio
import datetime
import sys
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from adapters.database.ledger import PostgresLedger
from domain.audit import SYSTEM
from domain.credits import Balance, Expiry, HoldState
from domain.errors import InvalidInput
from domain.generation import Status, TerminalState
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.tenant_lots import HOUR, TenantLots, tenant_lots

CANCELED = TerminalState(Status.CANCELED)
OURS = ("activities", "adapters", "admin", "api", "composition", "domain", "workflows")
_LOCK = "SELECT FROM accounts WHERE tenant_id = :tenant ORDER BY id FOR UPDATE"
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
_TRANSFERS = """
SELECT transfers.id, kind, transfers.amount_credits, lot_entries.lot_id FROM transfers
JOIN lot_entries ON transfer_id = transfers.id WHERE generation_id = :id ORDER BY lot_entries.id
"""


@pytest.fixture
async def tenant(books: PostgresBooks) -> TenantLots:
    return await tenant_lots(books)


def set_clock(monkeypatch: pytest.MonkeyPatch, wrong_by: timedelta) -> None:
    """Make this process's clock wrong, for all of our modules."""

    class WrongDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return datetime.datetime.now(tz) + wrong_by

    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + wrong_by.total_seconds())
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OURS and getattr(module, "datetime", None) is datetime.datetime:
            monkeypatch.setattr(module, "datetime", WrongDatetime)


@pytest.mark.parametrize("wrong_by", [timedelta(hours=5), timedelta(hours=-5)], ids=["ahead", "behind"])
async def test_a_process_with_a_wrong_clock_spends_the_same(
    tenant: TenantLots, monkeypatch: pytest.MonkeyPatch, wrong_by: timedelta
) -> None:
    over = await tenant.grant(10, expires_in=2 * HOUR)
    later = await tenant.grant(10, expires_in=9 * HOUR, effective_in=4 * HOUR)
    await tenant.let_pass(3 * HOUR)
    good = await tenant.grant(10, expires_in=HOUR)
    set_clock(monkeypatch, wrong_by)

    assert good.expires_at is not None
    next_expiry = Expiry(10, good.expires_at)
    balance = Balance(10, 0, 0, upcoming=10, next_expiry=next_expiry)
    assert await tenant.books.balance(tenant.tenant_id) == balance
    refused = await tenant.ledger.reserve(await tenant.job(11))
    assert refused.state is HoldState.INSUFFICIENT
    await tenant.held(10)
    with pytest.raises(InvalidInput):
        await tenant.grant(1, expires_in=-timedelta(minutes=1))
    await tenant.sweep()

    assert (await tenant.read(over)).expired == 10
    assert (await tenant.read(later)).remaining == 10
    found = await tenant.read(good)
    assert (found.held, found.expired_at) == (10, None)
    await tenant.books.assert_consistent(tenant.tenant_id)


@pytest.mark.parametrize("at_once", [1, 5])
async def test_a_reserve_that_waits_longer_than_a_lot_lives_does_not_spend_it(
    tenant: TenantLots, at_once: int
) -> None:
    """It began, and its transaction too, before the lot expired."""
    lot = await tenant.grant(10, expires_in=timedelta(seconds=1.5))
    jobs = [await tenant.job(2) for _ in range(at_once)]
    books = tenant.books
    async with books.database.begin() as session:
        await session.execute(text(_LOCK), {"tenant": tenant.tenant_id})
        reserving = [asyncio.create_task(tenant.ledger.reserve(job, tenant.tenant_id)) for job in jobs]

        async def is_over() -> bool:
            [[over, waiting]] = await books.sql(
                f"SELECT expires_at < clock_timestamp(), ({_WAITING}) FROM lots WHERE id = :id",  # noqa: S608 - ours
                id=lot.id,
            )
            return bool(over and waiting)

        await eventually(is_over)
    reserved = await asyncio.gather(*reserving)
    assert {answer.state for answer in reserved} == {HoldState.INSUFFICIENT}
    assert (await tenant.read(lot)).remaining == 10
    await books.assert_consistent(tenant.tenant_id)


async def test_a_batch_over_tenants_that_waits_for_one_of_them_spends_nothing_that_expired(
    books: PostgresBooks,
) -> None:
    free, stuck = sorted(
        [await tenant_lots(books), await tenant_lots(books)], key=lambda each: each.tenant_id
    )
    lots = [await each.grant(10, expires_in=timedelta(seconds=1.5)) for each in (free, stuck)]
    jobs = [await free.job(2), await stuck.job(2)]
    batch = text("SELECT generation_id, state FROM reserve_credits_of_all(:jobs)")
    async with books.database.begin() as session:
        await session.execute(text(_LOCK), {"tenant": stuck.tenant_id})
        reserving = asyncio.create_task(books.database.call(batch, {"jobs": jobs}))

        async def are_over() -> bool:
            [[over, waiting]] = await books.sql(
                f"SELECT max(expires_at) < clock_timestamp(), ({_WAITING}) FROM lots WHERE id = ANY (:ids)",  # noqa: S608 - ours
                ids=[lot.id for lot in lots],
            )
            return bool(over and waiting)

        await eventually(are_over)
    assert {tuple(row) for row in await reserving} == {(job, "insufficient") for job in jobs}
    for each in (free, stuck):
        await books.assert_consistent(each.tenant_id)


@pytest.mark.parametrize("is_swept", [True, False])
async def test_a_hold_outlives_its_lot_and_what_comes_back_expires_at_once(
    tenant: TenantLots, *, is_swept: bool
) -> None:
    lot = await tenant.promotional(10)
    paid = await tenant.grant(6)
    refunded, partly = await tenant.held(4), await tenant.held(9, n=3)
    await tenant.let_pass(2 * HOUR)
    if is_swept:
        await tenant.sweep()
    found = await tenant.read(lot)
    assert (found.held, found.remaining) == (10, 0)

    await tenant.ledger.refund(refunded, CANCELED)
    await tenant.books.store(partly, 1)
    await tenant.ledger.settle(partly)

    found = await tenant.read(lot)
    assert (found.spent, found.expired, found.remaining, found.held) == (3, 7, 0, 0)
    assert (await tenant.read(paid)).remaining == 6
    transfers = await tenant.books.sql(_TRANSFERS, id=refunded)
    assert [tuple(row) for row in transfers] == [
        (f"{refunded}:hold", "hold", 4, lot.id),
        (f"{refunded}:refund", "refund", 4, lot.id),
        (f"expire:{lot.id}:{refunded}", "expire_lot", 4, lot.id),
    ]
    assert await tenant.books.balance(tenant.tenant_id) == Balance(6, 0, 3)
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_a_clock_that_steps_back_after_the_sweep_revives_nothing(tenant: TenantLots) -> None:
    lot = await tenant.promotional(10)
    open_job = await tenant.held(4)
    await tenant.let_pass(2 * HOUR)
    await tenant.sweep()
    await tenant.let_pass(-2 * HOUR)

    assert await tenant.books.balance(tenant.tenant_id) == Balance(0, 4, 0)
    await tenant.ledger.refund(open_job, CANCELED)
    await tenant.sweep()
    assert (
        await PostgresLedger(tenant.books.database).reserve(await tenant.job(1))
    ).state is HoldState.INSUFFICIENT
    found = await tenant.read(lot)
    assert (found.expired, found.remaining, found.held) == (10, 0, 0)
    assert await tenant.lots.expire(lot.id, by=SYSTEM) == found
    await tenant.books.assert_consistent(tenant.tenant_id)


async def test_what_expired_is_not_spent_before_the_sweep_either(tenant: TenantLots) -> None:
    lot = await tenant.grant(10, expires_in=HOUR)
    await tenant.let_pass(HOUR)
    assert await tenant.books.balance(tenant.tenant_id) == Balance(0, 0, 0)
    assert (await tenant.ledger.reserve(await tenant.job(1))).state is HoldState.INSUFFICIENT
    assert (await tenant.read(lot)).remaining == 10
    await tenant.books.assert_consistent(tenant.tenant_id)
