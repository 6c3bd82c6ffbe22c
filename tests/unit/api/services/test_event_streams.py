"""Streams read what they missed a few at a time, and are heard of however much they leave out."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from api.services.event_feed import EventFeed
from api.services.event_streams import EventStreams, StreamPolicy
from api.services.key_watch import KeyWatch
from domain.events import Event, EventPosition, EventType
from domain.ports import LogTail
from tests.support.eventually import eventually
from tests.support.key_states import States
from tests.support.time_limits import scaled

_KIND = EventType.GENERATION_STAGE_CHANGED
_POLICY = StreamPolicy(max_seconds=600, heartbeat_seconds=600)
_BEGINNING = EventPosition(0, 0)
NO_WATCH = KeyWatch(States())


def events_of(tenant_id: str, count: int) -> list[Event]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return [Event(EventPosition(1, n), tenant_id, None, None, _KIND, {}, moment) for n in range(1, count + 1)]


class Log:
    """Holds 10 events of each tenant, and notes how many of its reads ran at once."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.may_go_on = asyncio.Event()

    async def snapshot(self) -> str:
        return ""

    async def horizon(self) -> int:
        return 2

    async def read_new(self, seen: str, after: EventPosition, limit: int) -> LogTail:
        return LogTail([], 2, "")

    async def read_settled(self, after: EventPosition, limit: int) -> LogTail:
        return LogTail([], 2, "")

    async def list_of_generation(
        self, tenant_id: str, generation_id: str, *, after: int, limit: int
    ) -> Sequence[Event]:
        raise NotImplementedError

    async def list_of_tenant(
        self, tenant_id: str, *, after: EventPosition | None, limit: int
    ) -> Sequence[Event]:
        if tenant_id == "ten_many":
            self.running += 1
            self.most = max(self.most, self.running)
            await self.may_go_on.wait()
            self.running -= 1
        return [event for event in events_of(tenant_id, 10) if event.position > (after or _BEGINNING)]

    async def find_event(self, tenant_id: str, position: EventPosition) -> Event | None:
        raise NotImplementedError


async def first(streams: EventStreams, tenant_id: str, count: int) -> list[Event | None]:
    async with asyncio.timeout(scaled(10)), aclosing(streams.of_tenant(tenant_id, _BEGINNING)) as events:
        return [await anext(events) for _ in range(count)]


async def test_the_streams_of_one_tenant_leave_the_database_to_others() -> None:
    log = Log()
    feed = EventFeed(log, pause_seconds=0.01)
    streams = EventStreams(log, feed, NO_WATCH, _POLICY)
    many = [asyncio.create_task(first(streams, "ten_many", 10)) for _ in range(50)]
    await eventually(lambda: log.running >= 2, 10)
    assert await first(streams, "ten_one", 10) == events_of("ten_one", 10)
    assert log.running == log.most == 2
    log.may_go_on.set()
    assert await asyncio.gather(*many) == [events_of("ten_many", 10)] * 50
    assert log.most == 2
    feed.close()


async def test_a_stream_that_leaves_all_out_is_heard_of() -> None:
    log = Log()
    streams = EventStreams(
        log, EventFeed(log, pause_seconds=0.01), NO_WATCH, StreamPolicy(600, heartbeat_seconds=0)
    )

    async def given() -> AsyncGenerator[Event | None]:
        for event in events_of("ten_one", 3):
            yield event

    none = streams.of_types(given(), frozenset({EventType.GENERATION_COMPLETED}))
    assert [event async for event in none] == [None, None, None]
    every = streams.of_types(given(), frozenset({_KIND}))
    assert [event async for event in every] == events_of("ten_one", 3)


class GapLog(Log):
    """The feed gives the third event of a generation before the second, which was committed before it."""

    is_later = False

    async def read_new(self, seen: str, after: EventPosition, limit: int) -> LogTail:
        self.is_later = True
        return LogTail(self._events()[2:], 2, "")

    async def list_of_generation(
        self, tenant_id: str, generation_id: str, *, after: int, limit: int
    ) -> Sequence[Event]:
        visible = self._events()[: 3 if self.is_later else 1]
        return [event for event in visible if (event.number or 0) > after]

    def _events(self) -> list[Event]:
        return [
            replace(event, generation_id="gen_1", number=event.position.id)
            for event in events_of("ten_one", 3)
        ]


async def test_a_gap_in_the_numbers_is_read_from_the_log() -> None:
    log = GapLog()
    feed = EventFeed(log, pause_seconds=0.01)
    streams = EventStreams(log, feed, NO_WATCH, _POLICY)
    async with asyncio.timeout(scaled(10)), aclosing(streams.of_generation("ten_one", "gen_1", 0)) as events:
        found = [await anext(events) for _ in range(3)]
    assert [event.number for event in found if event is not None] == [1, 2, 3]
    feed.close()
