"""What follows the log misses nothing, whatever transactions are open and in whatever order they began."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from adapters.database.engine import Database
from adapters.database.events import PostgresEventLog
from api.services import event_feed
from api.services.event_feed import EventFeed
from api.services.event_streams import StreamPolicy
from domain.events import Event
from tests.support.books import PostgresBooks
from tests.support.requests import request
from tests.support.time_limits import scaled

_TOUCH = text("SELECT FROM generations WHERE id = :id FOR UPDATE")
_WRITE = text("SELECT write_event(:tenant, :id, 'generation.stage_changed', '{}')")
_POLICY = StreamPolicy(max_seconds=600, heartbeat_seconds=600)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[EventFeed]:
    feed = EventFeed(PostgresEventLog(database), pause_seconds=0.01)
    yield feed
    feed.close()


async def write(database: Database, tenant_id: str, generation_id: str, count: int = 1) -> None:
    async with database.begin() as session:
        await session.execute(_TOUCH, {"id": generation_id})
        for _ in range(count):
            await session.execute(_WRITE, {"tenant": tenant_id, "id": generation_id})


async def test_a_long_transaction_holds_up_no_wait_for_a_generation(
    books: PostgresBooks, database: Database, feed: EventFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "_MAX_READ", 10)
    tenant_id = await books.tenant(10)
    busy, awaited = await books.add(tenant_id, request()), await books.add(tenant_id, request())
    async with database.begin() as session, feed.of_generation(awaited) as subscription:
        await session.execute(text("SELECT pg_current_xact_id()"))
        await write(database, tenant_id, busy, 25)
        await write(database, tenant_id, awaited)
        events: list[Event] = []
        async with asyncio.timeout(scaled(10)):
            while not any(event.number == 2 for event in events):
                events += await subscription.take(10)
