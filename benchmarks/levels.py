"""Throughput and cost by how many are open at once: ours and the baseline's.

A round is all levels of both, so that the levels are in turn, too. Work that is done twice shows in our
histories: workflow tasks that failed or timed out, activities that were tried again, and ledger steps that
did not end as local activities.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from benchmarks.cost import PER_SECOND, WITHOUT_ELSEWHERE
from benchmarks.histories import all_repeated_work
from benchmarks.options import Options
from benchmarks.pair import BASELINE, DARKROOM, open_pair
from benchmarks.report import Result, Table, cell
from benchmarks.rounds import Comparison, Reading, in_turn

ROUNDS = 2
COST = f"{WITHOUT_ELSEWHERE}, ms"


def count_at(at_once: int, at_most: int) -> int:
    """Return how many to run: enough to fill all lanes, and few where each takes its time alone."""
    return max(at_once, min(at_most, 15 + 5 * at_once))


async def measure(options: Options) -> Result:
    repeated: dict[int, Counter[str]] = {at_once: Counter() for at_once in options.levels}
    async with open_pair(options) as pair:

        async def run(name: str, at_once: int) -> Reading:
            loaded = await pair.load(name, count_at(at_once, options.generations), at_once)
            if name == DARKROOM:
                repeated[at_once] += await all_repeated_work(pair.on.client, loaded.run.samples)
            return loaded.reading

        contenders = {
            _name(name, at_once): partial(run, name, at_once)
            for at_once in options.levels
            for name in pair.targets
        }
        comparison = await in_turn(contenders, options.turns.at_most(ROUNDS), steady=(PER_SECOND, COST))
    return _result(options.levels, comparison, repeated)


def _name(name: str, at_once: int) -> str:
    return f"{name}, {at_once} at once"


def _result(levels: Sequence[int], comparison: Comparison, repeated: dict[int, Counter[str]]) -> Result:
    done_twice = [
        f"{count} {what} at {at_once}" for at_once, found in repeated.items() for what, count in found.items()
    ]
    notes = [
        f"{name}, {row}, {levels[-1]} at once to {best}: {ratio}"
        for name in (DARKROOM, BASELINE)
        for row, best in (
            (PER_SECOND, _best(levels, comparison, name)),
            (COST, _cheapest(levels, comparison, name)),
        )
        for ratio in (comparison.ratio(_name(name, levels[-1]), _name(name, best), row),)
    ]
    return Result(
        tables=[
            _table("Throughput, per second, by how many are open at once", levels, comparison, PER_SECOND, 1),
            _table("Processor time without simulator and client, ms each", levels, comparison, COST, 0),
        ],
        notes=[*notes, f"Done twice: {', '.join(done_twice) or 'nothing'}"],
        numbers={"levels_runs": comparison.as_json(), "done_twice": done_twice},
    )


def _table(title: str, levels: Sequence[int], comparison: Comparison, row: str, digits: int) -> Table:
    rows = [
        (
            str(at_once),
            *(cell(comparison.range(_name(name, at_once), row), digits) for name in (DARKROOM, BASELINE)),
            str(comparison.ratio(_name(DARKROOM, at_once), _name(BASELINE, at_once), row)),
        )
        for at_once in levels
    ]
    return Table(title, ("at once", DARKROOM, BASELINE, "ratio"), rows)


def _best(levels: Sequence[int], comparison: Comparison, name: str) -> int:
    return max(levels, key=lambda at_once: comparison.range(_name(name, at_once), PER_SECOND).median)


def _cheapest(levels: Sequence[int], comparison: Comparison, name: str) -> int:
    return min(levels, key=lambda at_once: comparison.range(_name(name, at_once), COST).median)
