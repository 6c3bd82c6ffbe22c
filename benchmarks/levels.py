"""Throughput and cost by how many are open at once: ours and the baseline's.

Work that is done twice shows in our histories: workflow tasks that failed or timed out, activities that were
tried again, and ledger steps that did not end as local activities.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial

from benchmarks.cost import PER_SECOND, WITHOUT_ELSEWHERE
from benchmarks.histories import all_repeated_work
from benchmarks.options import Options
from benchmarks.pair import BASELINE, DARKROOM, Pair, open_pair
from benchmarks.report import Result, Table, cell
from benchmarks.rounds import Comparison, Reading, in_turn

# Rounds of a level: the levels are many, and their curve shows what one of them hides.
ROUNDS = 2
COST = f"{WITHOUT_ELSEWHERE}, ms"


@dataclass(frozen=True)
class Level:
    """What was read with so many at once. repeated: in all of our runs together."""

    at_once: int
    comparison: Comparison
    repeated: Counter[str]


def count_at(at_once: int, at_most: int) -> int:
    """Return how many to run: enough to fill all lanes, and few where each takes its time alone."""
    return max(at_once, min(at_most, 15 + 5 * at_once))


async def measure(options: Options) -> Result:
    async with open_pair(options) as pair:
        levels = [await _level(options, pair, at_once) for at_once in options.levels]
    return _result(levels)


async def _level(options: Options, pair: Pair, at_once: int) -> Level:
    repeated: Counter[str] = Counter()

    async def run(name: str) -> Reading:
        loaded = await pair.load(name, count_at(at_once, options.generations), at_once)
        if name == DARKROOM:
            repeated.update(await all_repeated_work(pair.on.client, loaded.run.samples))
        return loaded.reading

    contenders = {name: partial(run, name) for name in pair.targets}
    rounds = min(ROUNDS, options.rounds)
    return Level(at_once, await in_turn(contenders, rounds, steady=(PER_SECOND, COST), spare=1), repeated)


def _result(levels: list[Level]) -> Result:
    repeated: Counter[str] = sum((level.repeated for level in levels), Counter())
    done_twice = ", ".join(f"{count} {what}" for what, count in repeated.items()) or "nothing"
    return Result(
        tables=[
            _table("Throughput, per second, by how many are open at once", levels, PER_SECOND, 1),
            _table("Processor time without simulator and client, ms each", levels, COST, 0),
        ],
        notes=[*(_decline(levels, name) for name in (DARKROOM, BASELINE)), f"Done twice: {done_twice}"],
        numbers={
            str(level.at_once): {"runs": level.comparison.as_json(), "repeated": dict(level.repeated)}
            for level in levels
        },
    )


def _table(title: str, levels: list[Level], row: str, digits: int) -> Table:
    rows = [
        (
            str(level.at_once),
            *(cell(level.comparison.range(name, row), digits) for name in (DARKROOM, BASELINE)),
            str(level.comparison.ratio(DARKROOM, BASELINE, row)),
        )
        for level in levels
    ]
    return Table(title, ("at once", DARKROOM, BASELINE, "ratio"), rows)


def _decline(levels: list[Level], name: str) -> str:
    """Return what the last level has of the best throughput, and of the least cost."""
    rates = [level.comparison.range(name, PER_SECOND).median for level in levels]
    costs = [level.comparison.range(name, COST).median for level in levels]
    return (
        f"{name} at {levels[-1].at_once}: {rates[-1] / max(rates):.2f} of its best throughput, "
        f"{costs[-1] / min(costs):.2f} times its least cost"
    )
