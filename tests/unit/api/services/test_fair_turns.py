"""Turns of tenants: many for one that is alone, few while others are there, and none is lost."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from starlette.exceptions import HTTPException

from api.services.fair_turns import FairTurns
from tests.support.eventually import eventually


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def turns_with(clock: Clock, *, wait_seconds: float = 10.0) -> FairTurns:
    return FairTurns(alone=4, shared=2, wait_seconds=wait_seconds, clock=clock)


class Requests:
    """Requests that hold their turn until they are told to end; counts how many run."""

    def __init__(self, turns: FairTurns) -> None:
        self.turns = turns
        self.running: list[str] = []
        self.end = asyncio.Event()

    async def one(self, tenant_id: str, lane: str = "") -> None:
        async with self.turns.limit(tenant_id, lane):
            self.running.append(tenant_id)
            await self.end.wait()
            self.running.remove(tenant_id)

    async def begin(self, tenant_id: str, count: int, lane: str = "") -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.one(tenant_id, lane)) for _ in range(count)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return tasks


async def test_a_tenant_that_is_alone_has_many(clock: Clock) -> None:
    requests = Requests(turns_with(clock))
    tasks = await requests.begin("ten_a", 10)
    assert len(requests.running) == 4
    requests.end.set()
    await asyncio.gather(*tasks)
    assert requests.turns._lanes == {}


async def test_beside_another_it_has_few_as_its_requests_end(clock: Clock) -> None:
    turns = turns_with(clock)
    async with turns.limit("ten_b"):
        pass
    requests = Requests(turns)
    tasks = await requests.begin("ten_a", 10)
    assert len(requests.running) == 2
    tasks += await requests.begin("ten_b", 3)
    assert (requests.running.count("ten_a"), requests.running.count("ten_b")) == (2, 2)
    # Alone again after a while: with the next that ends, more are let in.
    clock.now += 11
    requests.end.set()
    await asyncio.gather(*tasks)
    requests.end.clear()
    tasks = await requests.begin("ten_a", 10)
    assert len(requests.running) == 4
    requests.end.set()
    await asyncio.gather(*tasks)


async def test_lanes_of_a_tenant_do_not_wait_for_each_other(clock: Clock) -> None:
    requests = Requests(turns_with(clock))
    tasks = await requests.begin("ten_a", 6, "new")
    tasks += await requests.begin("ten_a", 1, "other")
    assert len(requests.running) == 5
    requests.end.set()
    await asyncio.gather(*tasks)


async def test_turns_pass_in_order(clock: Clock) -> None:
    turns, order = FairTurns(alone=1, shared=1, wait_seconds=10, clock=clock), []

    async def one(number: int) -> None:
        async with turns.limit("ten_a"):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert order == list(range(20))


async def test_no_wait_is_endless(clock: Clock) -> None:
    turns = turns_with(clock, wait_seconds=0.01)
    async with AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(turns.limit("ten_a"))
        with pytest.raises(HTTPException) as refused:
            async with turns.limit("ten_a"):
                pytest.fail("a fifth turn")
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
    async with turns.limit("ten_a"):
        pass
    assert turns._lanes == {}


async def test_whoever_goes_while_it_waits_takes_no_turn_along(clock: Clock) -> None:
    requests = Requests(turns_with(clock))
    first = await requests.begin("ten_a", 4)
    gone = await requests.begin("ten_a", 3)
    last = await requests.begin("ten_a", 1)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    requests.end.set()
    await asyncio.gather(*first, *last)
    assert requests.turns._lanes == {}


async def test_a_turn_that_is_given_as_its_waiter_goes_is_passed_on(clock: Clock) -> None:
    turns = FairTurns(alone=1, shared=1, wait_seconds=10, clock=clock)
    requests = Requests(turns)
    async with turns.limit("ten_a"):
        going, next_one = [asyncio.create_task(requests.one("ten_a")) for _ in range(2)]
        await eventually(lambda: len(turns._lanes["ten_a", ""].waiting) == 2)
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    await eventually(lambda: requests.running == ["ten_a"])
    requests.end.set()
    await next_one
    assert turns._lanes == {}


async def test_tenants_are_forgotten(clock: Clock) -> None:
    turns = turns_with(clock)
    for number in range(100):
        async with turns.limit(f"ten_{number}"):
            pass
    clock.now += 11
    async with turns.limit("ten_a"):
        pass
    assert (len(turns._seen), turns._lanes) == (1, {})
