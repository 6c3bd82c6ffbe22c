"""Calls that come at once go together, and none fails or waits for one of another key."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters.database.batches import Batches
from domain.errors import DatabaseUnavailable


class Recorder:
    """Runs items when it is told to, and writes down which came together."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.runs: list[list[str]] = []
        self.gate = asyncio.Event()
        self.broken: set[str] = set()
        if is_open:
            self.gate.set()

    async def run(self, items: Sequence[str]) -> list[str]:
        self.runs.append(list(items))
        await self.gate.wait()
        if found := self.broken & set(items):
            raise DatabaseUnavailable(f"{found}")
        return [item.upper() for item in items]


def calls(batches: Batches[str, str], items: Sequence[str], key: str = "a") -> list[asyncio.Task[str]]:
    return [asyncio.create_task(batches.call(key, item)) for item in items]


async def test_a_call_that_is_alone_goes_alone() -> None:
    recorder = Recorder()
    batches = Batches(recorder.run)
    assert [await batches.call("a", item) for item in "xy"] == ["X", "Y"]
    assert recorder.runs == [["x"], ["y"]]


async def test_calls_that_come_meanwhile_are_the_next() -> None:
    recorder = Recorder(is_open=False)
    batches = Batches(recorder.run)
    first = calls(batches, "x")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = calls(batches, "yz")
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await asyncio.gather(*first, *others) == ["X", "Y", "Z"]
    assert recorder.runs == [["x"], ["y", "z"]]


async def test_another_key_does_not_wait() -> None:
    recorder = Recorder(is_open=False)
    batches = Batches(recorder.run)
    waiting = [*calls(batches, "x", key="a"), *calls(batches, "y", key="b")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert recorder.runs == [["x"], ["y"]]
    recorder.gate.set()
    assert await asyncio.gather(*waiting) == ["X", "Y"]


async def test_none_fails_for_another() -> None:
    recorder = Recorder()
    recorder.broken = {"y"}
    results = await asyncio.gather(*calls(Batches(recorder.run), "xyz"), return_exceptions=True)
    assert results[0] == "X"
    assert isinstance(results[1], DatabaseUnavailable)
    assert results[2] == "Z"
    assert recorder.runs == [["x", "y", "z"], ["x"], ["y"], ["z"]]


async def test_one_that_is_canceled_is_not_run_and_holds_up_nobody() -> None:
    recorder = Recorder(is_open=False)
    batches = Batches(recorder.run)
    first = calls(batches, "x")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    canceled, kept = calls(batches, "yz")
    await asyncio.sleep(0)
    canceled.cancel()
    await asyncio.gather(canceled, return_exceptions=True)
    recorder.gate.set()
    assert await asyncio.gather(*first, kept) == ["X", "Z"]
    assert recorder.runs == [["x"], ["z"]]


async def test_a_batch_has_a_limit() -> None:
    recorder = Recorder()
    items = [str(number) for number in range(250)]
    assert await asyncio.gather(*calls(Batches(recorder.run), items)) == items
    assert [len(run) for run in recorder.runs] == [100, 100, 50]


async def test_a_caller_gets_the_error_of_its_own_call() -> None:
    recorder = Recorder()
    recorder.broken = {"x"}
    with pytest.raises(DatabaseUnavailable):
        await Batches(recorder.run).call("a", "x")
    recorder.broken = set()
