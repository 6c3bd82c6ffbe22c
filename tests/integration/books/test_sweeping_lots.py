"""The reconciler takes away what has expired, batch after batch."""

import pytest

from activities.lots import LotSweeper
from adapters.database.tenants import PostgresTenants
from domain.audit import SYSTEM
from domain.lots import Grant
from tests.integration.books.conftest import Site


async def test_lots_that_expired_are_swept_and_the_books_agree(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.lots._BATCH", 2)
    for number in range(5):
        await site.lots.grant(Grant(site.tenant_id, 10, f"gift-{number}"), by=SYSTEM)
    await site.break_by(
        "UPDATE lots SET effective_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'"
        " WHERE tenant_id = :tenant AND reference LIKE 'gift-%'"
    )
    swept = await LotSweeper(site.lots).sweep()
    assert swept["lots_swept"] >= 5
    lots = await site.lots.list_lots(site.tenant_id, after=None, limit=10, open_only=True)
    assert [lot.reference for lot in lots] == ["first"]
    assert await site.disagreements() == set()
    assert not (await LotSweeper(site.lots).sweep()).total()


async def test_a_tenant_whose_books_are_wrong_keeps_no_others_lots_from_expiring(site: Site) -> None:
    """Its own stays as it is: people find out why first."""
    other = await PostgresTenants(site.books.database).create("another")
    for tenant_id in (site.tenant_id, other):
        await site.lots.grant(Grant(tenant_id, 10, "gift"), by=SYSTEM)
    await site.break_by(
        "UPDATE lots SET effective_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'"
        " WHERE reference = 'gift'",
        "UPDATE accounts SET balance_credits = balance_credits - 100 WHERE id = :tenant || ':available'",
    )
    await LotSweeper(site.lots).sweep()
    [swept] = await site.lots.list_lots(other, after=None, limit=10, open_only=False)
    assert (swept.expired, swept.closed_at is None) == (10, False)
    left, _ = await site.lots.list_lots(site.tenant_id, after=None, limit=10, open_only=True)
    assert (left.remaining, left.expired_at) == (10, None)

    await site.break_by(
        "UPDATE accounts SET balance_credits = balance_credits + 100 WHERE id = :tenant || ':available'"
    )
    await LotSweeper(site.lots).sweep()
    assert (await site.lots.get_lot(site.tenant_id, left.id)).expired == 10
    assert await site.disagreements() == set()
