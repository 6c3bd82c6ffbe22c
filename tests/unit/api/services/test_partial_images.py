"""Following a job for its partial images."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from api.services.event_streams import EventStreams
from api.services.partial_images import PartialImageFeed
from api.services.waiter import Waiter
from domain.events import Event, EventPosition, EventType
from domain.generation import Status
from domain.partial_images import PartialImage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS: dict[str, Any] = {"index": 0, "width": 64, "height": 32, "content_type": "image/png", "size_bytes": 9}


def event(number: int, kind: EventType = EventType.IMAGE_PARTIAL, **data: Any) -> Event:
    return Event(EventPosition(number, number), "ten_1", "gen_1", number, kind, data, NOW)


def told(number: int, partial_index: int) -> Event:
    return event(number, **FACTS, partial_index=partial_index)


def image(partial_index: int) -> PartialImage:
    return PartialImage(0, partial_index, 64, 32, "image/png", 9)


END = event(99, EventType.GENERATION_COMPLETED)


class Job:
    """Stands in for the streams, the waiter and the client. scripts: what each stream yields."""

    def __init__(self, *scripts: list[Event | None], has_ended: bool = False, may_wait: bool = True) -> None:
        self.scripts = list(scripts)
        self.begun_after: list[int] = []
        self.status = Status.COMPLETED if has_ended else Status.PROCESSING
        self.may_wait = may_wait

    def begin_waiting(self) -> bool:
        return self.may_wait

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        yield

    async def wait_until_ended(self, *_: object) -> "Job":
        return self

    async def of_generation(
        self, _tenant: str, _generation: str, after: int, _key: str | None = None
    ) -> AsyncGenerator[Event | None]:
        self.begun_after.append(after)
        for each in self.scripts.pop(0) if self.scripts else []:
            yield each
            await asyncio.sleep(0)

    of_ended_generation = of_generation


async def followed(job: Job, *, max_wait_seconds: float = 30) -> list[PartialImage | None]:
    feed = PartialImageFeed(cast("EventStreams", job), cast("Waiter", job), max_wait_seconds=max_wait_seconds)
    return [each async for each in feed.follow("ten_1", "gen_1", job)]


async def test_each_is_yielded_once_until_the_end() -> None:
    other = event(3, EventType.ATTEMPT_ACCEPTED)
    job = Job([told(1, 0), other, told(4, 0), None, told(5, 1), END])
    assert await followed(job) == [image(0), None, image(1)]


async def test_a_stream_that_is_over_is_followed_by_another() -> None:
    job = Job([told(1, 0)], [told(2, 1), END])
    assert await followed(job) == [image(0), image(1)]
    assert job.begun_after == [0, 1]


async def test_a_job_that_has_ended_is_read_once() -> None:
    job = Job([told(1, 0)], [told(2, 1)], has_ended=True)
    assert await followed(job) == [image(0)]


async def test_streams_that_end_at_once_are_given_up() -> None:
    job = Job()
    assert await followed(job) == []
    assert job.begun_after == [0, 0, 0]


async def test_nothing_is_followed_where_too_many_wait() -> None:
    job = Job([told(1, 0), END], may_wait=False)
    assert await followed(job) == []
    assert job.begun_after == []


async def test_the_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job()

    async def silent(*_: object) -> AsyncGenerator[Event | None]:
        yield told(1, 0)
        await asyncio.Event().wait()

    monkeypatch.setattr(job, "of_generation", silent)
    assert await followed(job, max_wait_seconds=0.1) == [image(0)]
