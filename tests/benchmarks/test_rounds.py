"""Contenders run in turn, and there is a ratio only where their runs agree."""

import itertools
from collections.abc import Awaitable, Callable, Iterable

import pytest

from benchmarks.rounds import Comparison, Range, Ratio, Reading, Turns, in_turn

ROW = "per second"


def contender(name: str, values: Iterable[float], order: list[str]) -> Callable[[], Awaitable[Reading]]:
    numbers = iter(values)

    async def run() -> Reading:
        order.append(name)
        return {ROW: next(numbers)}

    return run


async def compare(ours: list[float], theirs: list[float], rounds: int = 2) -> tuple[Comparison, str]:
    order: list[str] = []
    contenders = {"a": contender("a", ours, order), "b": contender("b", theirs, order)}
    return await in_turn(contenders, Turns(rounds), steady=(ROW,)), "".join(order)


async def test_every_other_round_begins_with_the_other() -> None:
    comparison, order = await compare([10, 10, 10], [20, 20, 20], rounds=3)
    assert (order, comparison.dropped) == ("abbaab", 0)
    assert comparison.ratio("a", "b", ROW).value == 0.5


async def test_runs_that_differ_by_a_tenth_give_a_ratio_and_those_further_apart_none() -> None:
    steady = Ratio.of(Range.of([10, 10.5, 11]), Range.of([5, 5, 5]))
    apart = Ratio.of(Range.of([10, 10, 10]), Range.of([4.5, 5, 5.1]))
    assert (steady.value, str(steady)) == (2.1, "2.10")
    assert (apart.value, str(apart)) == (None, "spread 12%: no ratio")


async def test_a_disturbed_round_is_dropped_with_both_its_sides() -> None:
    comparison, _ = await compare([5, 10, 10, 99], [20, 20, 20, 99])
    assert comparison.dropped == 1
    assert comparison.as_json() == {"a": {ROW: [10, 10]}, "b": {ROW: [20, 20]}}


async def test_runs_that_never_agree_end_without_a_ratio() -> None:
    comparison, order = await compare([1, 2, 4, 8, 16], [1, 1, 1, 1, 1])
    assert len(order) == 2 * 4
    assert comparison.ratio("a", "b", ROW).value is None
    assert len(comparison.rounds) == 2


async def test_rows_without_a_goal_cost_no_further_round() -> None:
    order: list[str] = []
    await in_turn({"a": contender("a", itertools.count(1), order)}, Turns(2))
    assert order == ["a", "a"]


def test_a_single_run_gives_no_ratio() -> None:
    ratio = Ratio.of(Range.of([10]), Range.of([5]))
    assert (ratio.value, str(ratio)) == (None, "one run: no ratio")


@pytest.mark.parametrize("idle", [[0.0, 0.0], [0.0, 0.1]])
def test_a_ratio_to_nothing_is_none(idle: list[float]) -> None:
    assert Ratio.of(Range.of([1, 1]), Range.of(idle)).value is None
