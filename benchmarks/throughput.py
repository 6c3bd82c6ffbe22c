"""How many generations a second, and what each part of the stack spends on one: ours and the baseline's."""

from functools import partial
from typing import Any

from benchmarks.cost import PER_SECOND, WITHOUT_ELSEWHERE, Loaded
from benchmarks.histories import events
from benchmarks.load import Run, Sample
from benchmarks.options import Options
from benchmarks.pair import BASELINE, DARKROOM, Pair, open_pair
from benchmarks.percentiles import Spread
from benchmarks.report import Goal, Result, compared
from benchmarks.rounds import Comparison, Reading, in_turn
from benchmarks.stacks import DEV, POSTGRES

MIN_RATIO = {DEV: 0.58, POSTGRES: 0.65}
MAX_EVENTS = 26.0
_COST = f"{WITHOUT_ELSEWHERE}, ms"


async def measure(options: Options) -> Result:
    async with open_pair(options) as pair:
        loaded: dict[str, list[Loaded]] = {BASELINE: [], DARKROOM: []}

        async def run(name: str) -> Reading:
            loaded[name].append(await pair.load(name, options.generations, options.at_once))
            return loaded[name][-1].reading

        comparison = await in_turn(
            {name: partial(run, name) for name in loaded}, options.turns, steady=(PER_SECOND, _COST)
        )
        lengths = {name: await events(pair.on.client, _samples(runs)) for name, runs in loaded.items()}
        return _result(options, pair, comparison, loaded, lengths)


def _result(
    options: Options,
    pair: Pair,
    comparison: Comparison,
    loaded: dict[str, list[Loaded]],
    lengths: dict[str, float],
) -> Result:
    ratio = comparison.ratio(DARKROOM, BASELINE, PER_SECOND)
    goals = [
        Goal.of(
            f"throughput to the baseline's, {options.temporal}", ratio, at_least=MIN_RATIO[options.temporal]
        ),
        Goal("history events, finished by webhook", lengths[DARKROOM], at_most=MAX_EVENTS),
    ]
    numbers: dict[str, Any] = {
        "generations_per_second": round(comparison.range(DARKROOM, PER_SECOND).median, 2),
        "bare_workflows_per_second": round(comparison.range(BASELINE, PER_SECOND).median, 2),
        "ratio": ratio.value and round(ratio.value, 3),
        "spread": round(ratio.spread, 3),
        "throughput_runs": comparison.as_json(),
        "dropped_rounds": comparison.dropped,
        "events_per_generation": round(lengths[DARKROOM], 2),
        "events_per_bare_workflow": round(lengths[BASELINE], 2),
        "cpu_ms_per_generation": _parts(comparison, DARKROOM),
        "cpu_ms_per_bare_workflow": _parts(comparison, BASELINE),
        "accept_under_load": _spread(loaded[DARKROOM], "accept"),
        "webhook_to_completed_under_load": _spread(loaded[DARKROOM], "reaction"),
        "machine": dict(pair.on.facts),
    }
    title = f"Throughput and processor time of each, Temporal: {options.temporal}, {options.at_once} at once"
    note = f"Events: {lengths[DARKROOM]:.1f} of a generation, {lengths[BASELINE]:.1f} of a baseline workflow"
    return Result([compared(title, comparison, DARKROOM, BASELINE)], goals, [note], numbers)


def _parts(comparison: Comparison, name: str) -> dict[str, float]:
    """Return the median milliseconds of each part and sum."""
    rows = [row for row in comparison.rows(name) if row.endswith(", ms")]
    return {row.removesuffix(", ms"): round(comparison.range(name, row).median, 2) for row in rows}


def _samples(runs: list[Loaded]) -> list[Sample]:
    return [sample for each in runs for sample in each.run.samples]


def _spread(runs: list[Loaded], what: str) -> dict[str, float]:
    spread: Spread = getattr(Run(_samples(runs), 1.0), what)
    return spread.as_json()
