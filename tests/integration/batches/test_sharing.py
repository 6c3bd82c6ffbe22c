"""Batches beside each other: what all of them may have is for all of them, and none fails for another."""

import asyncio
from dataclasses import replace

import pytest

from adapters.database.engine import Database
from domain.batches import BatchCounts
from tests.integration.batches.passing import Site
from tests.support.batches import LIMITS, PRICE_CREDITS, item, items
from tests.support.books import PostgresBooks

pytestmark = pytest.mark.needs_servers
_CAP = "UPDATE api_keys SET max_held_credits = :cap WHERE id = :id"


@pytest.fixture
def site(database: Database, books: PostgresBooks) -> Site:
    return Site(database, books)


async def posted(site: Site, others: int) -> list[Site]:
    await site.post(*items(20), concurrency=20)
    return [site, *[await site.post_beside(*items(20)) for _ in range(others)]]


@pytest.mark.parametrize("at_once", [False, True])
async def test_batches_of_one_key_stay_within_its_cap(site: Site, *, at_once: bool) -> None:
    """What is over it would be refused when its price is held, and the item would fail."""
    sites = await posted(site, 2)
    await site.books.sql(_CAP, cap=2 * PRICE_CREDITS + 1, id=site.draft.api_key_id)
    if at_once:
        await asyncio.gather(*(each.advance() for each in sites))
    else:
        for each in sites:
            await each.advance()
    begun = [made.generation_id for each in sites for made in each.workflows.started]
    assert len(begun) == 2
    assert [(await site.ledger.reserve(each)).outcome for each in begun] == [None, None]


async def test_what_never_fits_the_cap_waits_for_the_other_batch(site: Site) -> None:
    await site.post(item())
    other = await site.post_beside(item())
    await site.books.sql(_CAP, cap=PRICE_CREDITS - 1, id=site.draft.api_key_id)
    await site.advance()
    await other.advance()
    assert (len(site.workflows.started), len(other.workflows.started)) == (1, 0)
    await site.end_all()
    await other.advance()
    assert len(other.workflows.started) == 1


@pytest.mark.parametrize("name", ["max_open_generations", "max_waiting_generations"])
async def test_batches_share_the_room_of_their_tenant(site: Site, name: str) -> None:
    site.limits = replace(LIMITS, **{name: 20})
    sites = await posted(site, 4)
    for _ in range(2):
        await asyncio.gather(*(each.advance() for each in sites))
    # One more each, at most, as they look at the same moment.
    assert 16 <= sum(len(each.workflows.started) for each in sites) <= 20 + len(sites)


async def test_a_batch_takes_the_room_that_another_one_leaves(site: Site) -> None:
    site.limits = replace(LIMITS, max_open_generations=6)
    sites = await posted(site, 1)
    await sites[0].batches.record_batch_cancel(site.draft.tenant_id, site.batch.id)
    await sites[0].advance()
    for _ in range(3):
        await sites[1].advance()
    assert (await sites[1].read()).counts == BatchCounts(total=20, waiting=14, in_progress=6)
