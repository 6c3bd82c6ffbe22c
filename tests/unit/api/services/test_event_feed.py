"""One reader of the log serves all who wait, in order, also where transactions end out of order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from api.services import event_feed
from api.services.event_feed import EventFeed, EventsDropped, Subscription
from domain.errors import DatabaseUnavailable
from domain.events import Event, EventPosition, EventType
from domain.ports import LogTail
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def event(transaction: int, number: int, generation_id: str | None = "gen_1") -> Event:
    position = EventPosition(transaction, number)
    kind = EventType.GENERATION_STAGE_CHANGED
    return Event(position, "ten_1", generation_id, number if generation_id else None, kind, {}, _MOMENT)


@dataclass
class Log:
    """A log in memory, in the order of commits.

    open_since: the oldest transaction that has not ended, if there is one.
    """

    events: list[Event] = field(default_factory=list)
    open_since: int | None = None
    reads: int = 0
    is_away: bool = False

    async def horizon(self) -> int:
        if self.is_away:
            raise DatabaseUnavailable
        newest = max((each.position.transaction_id for each in self.events), default=0)
        return newest + 1 if self.open_since is None else self.open_since

    async def snapshot(self) -> str:
        if self.is_away:
            raise DatabaseUnavailable
        return str(len(self.events))

    async def read_new(self, seen: str, after: EventPosition, limit: int) -> LogTail:
        return await self._read(self.events[int(seen) :], after, limit)

    async def read_settled(self, after: EventPosition, limit: int) -> LogTail:
        horizon = await self.horizon()
        settled = [each for each in self.events if each.position.transaction_id < horizon]
        return await self._read(settled, after, limit)

    async def _read(self, events: Sequence[Event], after: EventPosition, limit: int) -> LogTail:
        self.reads += 1
        found = sorted((each for each in events if each.position > after), key=lambda each: each.position)
        return LogTail(found[:limit], await self.horizon(), await self.snapshot())

    async def list_of_generation(
        self, tenant_id: str, generation_id: str, *, after: int, limit: int
    ) -> Sequence[Event]:
        raise NotImplementedError

    async def list_of_tenant(
        self, tenant_id: str, *, after: EventPosition | None, limit: int
    ) -> Sequence[Event]:
        raise NotImplementedError

    async def find_event(self, tenant_id: str, position: EventPosition) -> Event | None:
        raise NotImplementedError


@pytest.fixture
def log() -> Log:
    return Log()


@asynccontextmanager
async def feeding(log: Log) -> AsyncIterator[EventFeed]:
    feed = EventFeed(log, pause_seconds=0.001)
    try:
        yield feed
    finally:
        feed.close()


async def taken(subscription: Subscription, count: int) -> list[Event]:
    """Take so many events."""
    events: list[Event] = []
    async with asyncio.timeout(scaled(10)):
        while len(events) < count:
            events += await subscription.take(10)
    return events


async def test_what_comes_is_given_to_each_that_waits_for_it(log: Log) -> None:
    async with (
        feeding(log) as feed,
        feed.of_generation("gen_1") as one,
        feed.of_generation("gen_1") as two,
        feed.of_tenant("ten_1") as tenant,
        feed.of_generation("gen_2") as other,
    ):
        log.events += [event(1, 1), event(2, 2), event(3, 3, None)]
        assert await taken(one, 2) == await taken(two, 2) == log.events[:2]
        assert await taken(tenant, 3) == log.events
        assert await other.take(0.01) == []


async def test_a_tenant_waits_for_what_an_open_transaction_may_still_write(log: Log) -> None:
    log.open_since = 5
    async with (
        feeding(log) as feed,
        feed.of_tenant("ten_1") as tenant,
        feed.of_generation("gen_1") as generation,
    ):
        log.events.append(event(7, 1))
        assert await taken(generation, 1) == [event(7, 1)]
        reads = log.reads
        await eventually(lambda: log.reads > reads + 3, 10)
        assert await tenant.take(0) == []
        assert await generation.take(0) == []  # it was given once
        log.events.append(event(5, 2, "gen_2"))
        log.open_since = None
        assert await taken(tenant, 2) == [event(5, 2, "gen_2"), event(7, 1)]


async def test_a_batch_larger_than_one_read_is_given_whole(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "_MAX_READ", 10)
    async with feeding(log) as feed, feed.of_tenant("ten_1") as tenant:
        log.events += [event(1, number) for number in range(1, 26)]
        assert await taken(tenant, 25) == log.events


async def test_nothing_is_read_while_nobody_waits(log: Log) -> None:
    async with feeding(log) as feed:
        async with feed.of_generation("gen_1"):
            await eventually(lambda: log.reads > 1, 10)
        await eventually(lambda: not _is_following(feed), 10)
        reads = log.reads
        log.events.append(event(1, 1))
        async with feed.of_generation("gen_1") as again:
            log.events.append(event(2, 2))
            assert await taken(again, 1) == [event(2, 2)]
        assert log.reads > reads


async def test_an_outage_of_the_database_is_waited_out(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "_AFTER_FAILURE_SECONDS", 0.001)
    async with feeding(log) as feed, feed.of_generation("gen_1") as one:
        log.is_away = True
        reads = log.reads
        await eventually(lambda: log.reads > reads + 2, 10)
        log.events.append(event(1, 1))
        log.is_away = False
        assert await taken(one, 1) == [event(1, 1)]


async def test_who_comes_while_the_database_is_away_is_told_so(log: Log) -> None:
    log.is_away = True
    async with feeding(log) as feed:
        with pytest.raises(DatabaseUnavailable):
            async with feed.of_generation("gen_1"):
                pass
        log.is_away = False
        async with feed.of_generation("gen_1") as one:
            log.events.append(event(1, 1))
            assert await taken(one, 1) == [event(1, 1)]


async def test_a_slow_reader_is_sent_back_to_the_log(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "_MAX_QUEUED", 5)
    async with feeding(log) as feed, feed.of_generation("gen_1") as slow:
        async with feed.of_tenant("ten_1") as other:
            log.events += [event(1, number) for number in range(1, 5)]
            await taken(other, 4)
            log.events += [event(2, number) for number in range(5, 9)]
            await taken(other, 4)
        with pytest.raises(EventsDropped):
            await slow.take(10)
        log.events.append(event(3, 9))
        assert await taken(slow, 1) == [event(3, 9)]


async def test_a_process_that_stops_ends_every_wait(log: Log) -> None:
    async with feeding(log) as feed, feed.of_generation("gen_1") as one:
        waiting = asyncio.create_task(one.take(60))
        await asyncio.sleep(0)
        feed.close()
        assert await waiting == []
        assert one.is_closed
        async with feed.of_tenant("ten_1") as late:
            assert late.is_closed


def _is_following(feed: EventFeed) -> bool:
    return feed._following is not None
