"""Thresholds, and lots that begin or end without anybody having swept them."""

import pytest

from adapters.database.credits import PostgresCreditAccounts
from domain.audit import SYSTEM
from domain.generation import Status, TerminalState
from tests.support.books import PostgresBooks
from tests.support.requests import new_id
from tests.support.tenant_lots import HOUR, TenantLots, tenant_lots

CANCELED = TerminalState(Status.CANCELED)
_TOLD = (
    "SELECT data FROM events WHERE tenant_id = :tenant AND type = 'credits.low' ORDER BY transaction_id, id"
)


@pytest.fixture
async def tenant(books: PostgresBooks) -> TenantLots:
    return await tenant_lots(books)


async def told(tenant: TenantLots) -> list[tuple[int, int]]:
    """Return threshold and balance of each event, the oldest first."""
    rows = await tenant.books.sql(_TOLD, tenant=tenant.tenant_id)
    return [(data["threshold_credits"], data["available_credits"]) for [data] in rows]


@pytest.mark.parametrize("how", ["held", "withdrawn", "voided", "taken back"])
async def test_a_lot_that_begins_and_is_gone_before_the_sweep_is_told_of(
    tenant: TenantLots, how: str
) -> None:
    """As an allowance of a month of which a busy tenant leaves nothing in the first minute."""
    payment = new_id("pay")
    await tenant.lots.set_thresholds(tenant.tenant_id, [5], by=SYSTEM)
    lot = await tenant.grant(10, effective_in=HOUR, payment=payment)
    assert await told(tenant) == [(5, 0)]
    await tenant.let_pass(2 * HOUR)
    if how == "held":
        await tenant.held(7)
    elif how == "withdrawn":
        accounts = PostgresCreditAccounts(tenant.books.database)
        await accounts.withdraw(tenant.tenant_id, 7, "back", by=SYSTEM)
    elif how == "voided":
        await tenant.lots.void(lot.id, by=SYSTEM)
    else:
        await tenant.lots.take_back(tenant.tenant_id, payment, "refund", 7, by=SYSTEM)
    left = 0 if how == "voided" else 3
    assert await told(tenant) == [(5, 0), (5, left)]
    await tenant.sweep()
    assert await told(tenant) == [(5, 0), (5, left)]


async def test_what_a_hold_returns_tells_nobody_again(tenant: TenantLots) -> None:
    """Though a sweep comes by that notices a lot which a hold has noticed before."""
    await tenant.lots.set_thresholds(tenant.tenant_id, [5], by=SYSTEM)
    await tenant.grant(10, effective_in=HOUR)
    await tenant.let_pass(2 * HOUR)
    job = await tenant.held(7)
    await tenant.ledger.refund(job, CANCELED)
    await tenant.sweep()
    await tenant.held(7)
    assert await told(tenant) == [(5, 0), (5, 3)]
