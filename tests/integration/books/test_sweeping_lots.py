"""The reconciler takes away what has expired, batch after batch."""

import pytest

from activities.lots import LotSweeper
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
