"""Turns of tenants: many for one that is alone, few while others are there, and none is lost."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise

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


def turns_with(clock: Clock, *, shared: int = 2, wait_seconds: float = 10.0, rest: float = 0.0) -> FairTurns:
    return FairTurns(alone=4, shared=shared, wait_seconds=wait_seconds, rests={"": rest}, clock=clock)


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
    clock.now += 61
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
    clock.now += 61
    async with turns.limit("ten_a"):
        pass
    assert (len(turns._seen), turns._lanes) == (1, {})


async def passed(turns: FairTurns, tenant_id: str = "ten_a") -> None:
    async with turns.limit(tenant_id):
        pass


async def test_a_turn_that_lasts_holds_up_the_next_no_longer(clock: Clock) -> None:
    requests = Requests(turns_with(clock, shared=1))
    await passed(requests.turns, "ten_b")
    tasks = await requests.begin("ten_a", 10)
    for running in (1, 2, 3, 4, 4):
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(requests.running) == running
        clock.now += 0.25
        requests.turns._wake(("ten_a", ""), requests.turns._lanes["ten_a", ""])
    requests.end.set()
    await asyncio.gather(*tasks)
    assert requests.turns._lanes == {}


async def test_a_turn_ends_before_its_request_if_it_says_so(clock: Clock) -> None:
    turns = turns_with(clock, shared=1)
    await passed(turns, "ten_b")
    async with turns.limit("ten_a") as turn:
        next_one = asyncio.create_task(passed(turns))
        await eventually(lambda: len(turns._lanes["ten_a", ""].waiting) == 1)
        turn.end()
        turn.end()
        await next_one
    assert turns._lanes == {}


class Burst:
    """Requests of a tenant that take a tenth of a second each, by the clock; notes when each had its turn."""

    def __init__(self, turns: FairTurns, clock: Clock) -> None:
        self._turns = turns
        self._clock = clock
        self.begun_at: list[float] = []
        self._running: list[tuple[float, asyncio.Event]] = []

    async def one(self) -> None:
        async with self._turns.limit("ten_a"):
            self.begun_at.append(self._clock.now)
            is_over = asyncio.Event()
            self._running.append((self._clock.now + 0.1, is_over))
            await is_over.wait()

    async def run(self, count: int) -> list[float]:
        """Return how long after one another they had their turns."""
        tasks = [asyncio.create_task(self.one()) for _ in range(count)]
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            self._clock.now += 0.01
            for until, is_over in self._running:
                if self._clock.now >= until:
                    is_over.set()
            if lane := self._turns._lanes.get(("ten_a", "")):
                self._turns._wake(("ten_a", ""), lane)
        await asyncio.gather(*tasks)
        return [after - before for before, after in pairwise(self.begun_at)]


async def test_of_a_tenant_with_many_that_wait_the_next_comes_after_a_rest(clock: Clock) -> None:
    turns = turns_with(clock, shared=1, wait_seconds=1000, rest=5.0)
    await passed(turns, "ten_b")
    apart = await Burst(turns, clock).run(14)
    # With more than eight behind it, one rests five times a tenth of a second; the last nine do not.
    assert apart == pytest.approx([0.6] * 5 + [0.1] * 8, abs=0.08)


async def test_no_rest_is_longer_than_a_second(clock: Clock) -> None:
    turns = turns_with(clock, shared=1, wait_seconds=1000, rest=500.0)
    await passed(turns, "ten_b")
    apart = await Burst(turns, clock).run(12)
    assert apart == pytest.approx([1.1] * 3 + [0.1] * 8, abs=0.03)


async def test_who_is_alone_does_not_rest(clock: Clock) -> None:
    assert max(await Burst(turns_with(clock, shared=1, rest=5.0), clock).run(30)) < 0.15


async def test_a_rest_is_shorter_where_the_last_would_wait_too_long(clock: Clock) -> None:
    turns = turns_with(clock, shared=1, wait_seconds=10, rest=9.0)
    await passed(turns, "ten_b")
    burst = Burst(turns, clock)
    # With rests of 0.9 s these would take 50 s; without, 5 s.
    await burst.run(50)
    assert len(burst.begun_at) == 50
    assert 5.0 < burst.begun_at[-1] < 10.0


async def test_a_tenant_that_comes_after_a_pause_finds_a_rested_neighbor(clock: Clock) -> None:
    turns = turns_with(clock, shared=1, wait_seconds=1000, rest=5.0)
    await passed(turns, "ten_b")
    clock.now += 57
    assert sum(await Burst(turns, clock).run(12)) > 2.5
