"""Who gets the next place: first the tenant that holds the fewest, then the one that waits the longest."""

import asyncio
from collections.abc import Iterable
from functools import partial

import pytest

from adapters.images.fair_queue import FairQueue
from domain.errors import TooManyAtOnce
from tests.support.eventually import eventually


class Served:
    """Requests in the order in which they were given a place. Each keeps it until `finish`."""

    def __init__(self, places: int, *, max_waiting: int = 100, wait_seconds: float = 60.0) -> None:
        self.queue = FairQueue(places, max_waiting=max_waiting, wait_seconds=wait_seconds)
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def ask(self, *names: str) -> None:
        """Ask for a place under each name; its first letter is the tenant."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._hold(name))
            await asyncio.sleep(0)

    async def _hold(self, name: str) -> None:
        await self.queue.enter(name[0])
        self.order.append(name)
        await self._ends[name].wait()
        self.queue.leave(name[0])

    async def finish(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await self.tasks[name]
            await asyncio.sleep(0)

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    async def finish_all(self) -> list[str]:
        """Finish whoever was served first, until nobody is left; return the whole order."""
        for done in range(len(self.tasks)):
            await eventually(partial(self._has_served, done + 1))
            await self.finish(self.order[done])
        return self.order

    def _has_served(self, count: int) -> bool:
        return len(self.order) >= count


def many(tenant: str, count: int) -> Iterable[str]:
    return [f"{tenant}{number}" for number in range(count)]


async def test_a_newcomer_waits_only_for_what_runs() -> None:
    served = Served(1)
    await served.ask(*many("a", 50), "b0")

    assert (await served.finish_all())[:3] == ["a0", "b0", "a1"]


async def test_a_tenant_never_holds_all_of_several_places() -> None:
    served = Served(3)
    await served.ask(*many("a", 50))
    assert served.order == ["a0", "a1"]
    await served.ask("b0")
    assert served.order == ["a0", "a1", "b0"]
    await served.finish("a0")
    await served.finish("b0")
    assert served.order[3:] == ["a2"]
    await served.end()


async def test_a_newcomer_gets_the_first_place_that_is_free_before_those_who_hold_one() -> None:
    served = Served(3)
    await served.ask(*many("a", 50), *many("b", 50), *many("c", 2))
    assert served.order == ["a0", "a1", "b0"]
    await served.finish("b0")
    assert served.order[3:] == ["c0"]
    await served.finish("a1")
    # Now `b` holds none, and the others one each.
    assert served.order[4:] == ["b1"]
    await served.end()


async def test_tenants_take_turns() -> None:
    served = Served(1)
    await served.ask(*many("a", 4), *many("b", 3), *many("c", 2))

    assert await served.finish_all() == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_tenant_that_comes_again_and_again_overtakes_nobody() -> None:
    served = Served(1)
    await served.ask("a0", "b0", "c0")
    await served.finish("a0")
    await served.ask("a1")
    await served.finish("b0")
    await served.ask("b1")

    assert await served.finish_all() == ["a0", "b0", "c0", "a1", "b1"]


async def test_over_the_cap_of_a_tenant_only_that_tenant_is_refused() -> None:
    served = Served(1, max_waiting=2)
    await served.ask(*many("a", 3))
    with pytest.raises(TooManyAtOnce):
        await served.queue.enter("a")
    await served.ask("b0")

    assert await served.finish_all() == ["a0", "b0", "a1", "a2"]


async def test_a_wait_ends_and_leaves_no_trace() -> None:
    served = Served(1, wait_seconds=0.01)
    await served.ask("a0", "a1", "b0")
    for name in ("a1", "b0"):
        with pytest.raises(TooManyAtOnce, match=r"0\.01 s"):
            await served.tasks[name]
    assert served.order == ["a0"]
    assert list(served.queue._tenants) == ["a"]
    await served.finish("a0")
    assert served.queue._tenants == {}
    await served.queue.enter("c")


@pytest.mark.parametrize("is_granted", [False, True])
async def test_a_request_that_goes_away_takes_no_place_with_it(is_granted: bool) -> None:
    served = Served(1)
    await served.ask("a0", "b0", "c0")
    if is_granted:  # at the same moment
        served.queue.leave("a")
    served.tasks["b0"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await served.tasks["b0"]
    if not is_granted:
        await served.finish("a0")
    await eventually(lambda: served.order == ["a0", "c0"])
    served.tasks["a0"].cancel()
    await served.finish("c0")
