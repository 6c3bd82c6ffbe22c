"""What waits ends once its key or tenant is refused, and nothing is asked while nothing waits."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest

from api.services.event_feed import EventFeed
from api.services.event_streams import EventStreams, StreamPolicy
from api.services.key_watch import KeyWatch
from api.services.waiter import Waiter
from domain.errors import DatabaseUnavailable, ServiceError, TenantSuspended, Unauthenticated
from domain.events import Event, EventPosition
from domain.generation import Status
from domain.ports import Generations, LogTail
from tests.support.eventually import eventually
from tests.support.key_states import States
from tests.support.time_limits import scaled


@pytest.fixture
def states() -> States:
    return States()


@pytest.fixture
def watch(states: States) -> KeyWatch:
    return KeyWatch(states, pause_seconds=0.01)


async def test_only_what_belongs_to_the_key_is_refused(states: States, watch: KeyWatch) -> None:
    one: list[ServiceError] = []
    other: list[ServiceError] = []
    with watch.watching("ten_1", "key_1", one.append), watch.watching("ten_1", "key_2", other.append):
        await eventually(lambda: len(states.asked) > 1, 5)
        assert not one
        states.errors["key_1"] = Unauthenticated()
        await eventually(lambda: bool(one), 5)
    assert isinstance(one[0], Unauthenticated)
    assert not other
    assert states.asked[0] == ({"key_1", "key_2"}, {"ten_1"})


async def test_a_suspended_tenant_ends_all_of_its_keys_and_tokens(states: States, watch: KeyWatch) -> None:
    ended: list[ServiceError] = []
    stranger: list[ServiceError] = []
    with (
        watch.watching("ten_1", "key_1", ended.append),
        watch.watching("ten_1", None, ended.append),
        watch.watching("ten_2", None, stranger.append),
    ):
        states.errors["ten_1"] = TenantSuspended()
        await eventually(lambda: len(ended) >= 2, 5)
    assert {type(error) for error in ended} == {TenantSuspended}
    assert not stranger


async def test_nothing_is_asked_while_nothing_waits(states: States, watch: KeyWatch) -> None:
    with watch.watching("ten_1", "key_1", print):
        await eventually(lambda: bool(states.asked), 5)
    await eventually(lambda: watch._looking is None, 5)
    count = len(states.asked)
    with watch.watching("ten_1", "key_1", print):
        await eventually(lambda: len(states.asked) > count, 5)


@pytest.mark.parametrize("failure", [DatabaseUnavailable(), RuntimeError("a bug")])
async def test_a_look_that_fails_is_followed_by_another(
    states: States, watch: KeyWatch, failure: Exception
) -> None:
    ended: list[ServiceError] = []
    states.failure = failure
    with watch.watching("ten_1", "key_1", ended.append):
        await eventually(lambda: len(states.asked) > 1, 5)
        states.failure, states.errors = None, {"key_1": Unauthenticated()}
        await eventually(lambda: bool(ended), 5)


class SilentLog:
    """A log in which nothing happens."""

    async def snapshot(self) -> str:
        return ""

    async def horizon(self) -> int:
        return 1

    async def read_new(self, *_: object) -> LogTail:
        return LogTail([], 1, "")

    async def read_settled(self, *_: object) -> LogTail:
        return LogTail([], 1, "")

    async def list_of_tenant(self, *_: object, **__: object) -> Sequence[Event]:
        return ()

    async def list_of_generation(self, *_: object, **__: object) -> Sequence[Event]:
        return ()


def streams(watch: KeyWatch) -> tuple[EventStreams, EventFeed]:
    log: Any = SilentLog()
    feed = EventFeed(log, pause_seconds=0.01)
    return EventStreams(log, feed, watch, StreamPolicy(600, heartbeat_seconds=600)), feed


@pytest.mark.parametrize("is_of_tenant", [True, False])
async def test_a_silent_stream_of_a_revoked_key_ends(
    states: States, watch: KeyWatch, *, is_of_tenant: bool
) -> None:
    subject, feed = streams(watch)
    read: AsyncGenerator[Event | None] = (
        subject.of_tenant("ten_1", EventPosition(1, 1), "key_1")
        if is_of_tenant
        else subject.of_generation("ten_1", "gen_1", 0, "key_1")
    )
    async with asyncio.timeout(scaled(10)), aclosing(read) as events:
        waiting = asyncio.ensure_future(anext(events))
        await eventually(lambda: bool(states.asked), 5)
        assert not waiting.done()
        states.errors["key_1"] = Unauthenticated()
        with pytest.raises(Unauthenticated):
            await waiting
    feed.close()


class OpenGeneration:
    """An open generation of any tenant."""

    status = Status.PROCESSING

    async def get_generation_of(self, *_: object) -> "OpenGeneration":
        return self


async def test_a_wait_of_a_suspended_tenant_ends(states: States, watch: KeyWatch) -> None:
    _, feed = streams(watch)
    waiter = Waiter(feed, cast("Generations", OpenGeneration()), watch)
    states.errors["ten_1"] = TenantSuspended()
    async with asyncio.timeout(scaled(10)):
        with pytest.raises(TenantSuspended):
            await waiter.wait_until_ended("ten_1", "gen_1", 600, key_id="key_1")
    feed.close()
