"""What follows the log misses nothing, whatever transactions are open and in whatever order they began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from sqlalchemy import text

from adapters.database.engine import Database
from adapters.database.events import PostgresEventLog
from api.services import event_feed
from api.services.event_feed import EventFeed
from api.services.event_streams import EventStreams, StreamPolicy
from domain.events import Event, EventPosition
from domain.ports import LogTail
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.requests import request
from tests.support.time_limits import scaled

_TOUCH = text("SELECT FROM generations WHERE id = :id FOR UPDATE")
_WRITE = text("SELECT write_event(:tenant, :id, 'generation.stage_changed', '{}')")
_POLICY = StreamPolicy(max_seconds=600, heartbeat_seconds=600)


class PausedLog(PostgresEventLog):
    """What is new is read once that is allowed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.waiting = False
        self.may_read = asyncio.Event()

    async def read_new(self, seen: str, after: EventPosition, limit: int) -> LogTail:
        self.waiting = True
        await self.may_read.wait()
        return await super().read_new(seen, after, limit)


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


async def test_transactions_that_began_in_another_order_than_they_wrote_lose_no_event(
    books: PostgresBooks, database: Database
) -> None:
    """A batch has its number before it comes to a row, which another may change and leave meanwhile."""
    tenant_id = await books.tenant(10)
    other, followed = await books.add(tenant_id, request()), await books.add(tenant_id, request())
    log = PausedLog(database)
    feed = EventFeed(log, pause_seconds=0.01)
    streams = EventStreams(log, feed, _POLICY)
    async with aclosing(streams.of_generation(tenant_id, followed, 0)) as events:
        first = await anext(events)
        following = asyncio.ensure_future(_numbers(events, 2))
        await eventually(lambda: log.waiting, 10)
        async with database.begin() as batch:
            await batch.execute(_TOUCH, {"id": other})
            await write(database, tenant_id, followed)
            await batch.execute(_TOUCH, {"id": followed})
            await batch.execute(_WRITE, {"tenant": tenant_id, "id": followed})
        log.may_read.set()
        async with asyncio.timeout(scaled(10)):
            assert await following == [2, 3]
    feed.close()
    assert first is not None
    assert first.number == 1


async def _numbers(events: AsyncIterator[Event | None], count: int) -> list[int | None]:
    found = [await anext(events) for _ in range(count)]
    return [event.number for event in found if event is not None]


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
