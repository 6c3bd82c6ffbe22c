"""What a client waits: for the response to its request, and from the provider's word to the end.

Without load, one after the other; and with half of what each can do arriving at random times, so that the
machine is as busy for the baseline as for us.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from benchmarks.load import Run, run_arrivals, run_samples
from benchmarks.options import Options
from benchmarks.pair import BASELINE, DARKROOM, Pair, open_pair
from benchmarks.report import Goal, Result, compared
from benchmarks.rounds import Comparison, Reading, in_turn
from devstack.process.log import log

MAX_ACCEPT_RATIO = 2.0
MAX_REACTION_RATIO = 1.5
# Short, as nothing is measured meanwhile.
JOB_SECONDS = 0.2
HALF_LOAD_SECONDS = 10.0
LOAD = 0.5
# A workflow's end is seen before its last writes are done: they must not be load for the next one.
_IDLE_PAUSE_SECONDS = 0.2
_ACCEPT, _REACTION = (
    "accept (POST, start_workflow) p50, ms",
    "webhook to completed (signal to result) p50, ms",
)
_ACCEPT_TAIL, _REACTION_TAIL = "accept p99, ms", "webhook to completed p99, ms"
# By how busy the machine is, then who, then a run of samples for each round.
Runs = dict[str, dict[str, list[Run]]]
_IDLE, _HALF = "idle", "at half load"


async def measure(options: Options) -> Result:
    async with open_pair(options, job_seconds=JOB_SECONDS) as pair:
        rates = {
            name: (await pair.load(name, options.generations, options.at_once)).run.per_second
            for name in pair.targets
        }
        runs: Runs = {busy: {name: [] for name in pair.targets} for busy in (_IDLE, _HALF)}
        makers = {_IDLE: _idle(options, pair), _HALF: _at_half_load(options, pair, rates, runs)}
        compared_by = {busy: await _compare(options, make, runs[busy]) for busy, make in makers.items()}
    return _result(compared_by, runs, rates)


Maker = Callable[[str], Awaitable[Run]]


def _idle(options: Options, pair: Pair) -> Maker:
    async def make(name: str) -> Run:
        log(f"{name}: {options.idle_samples}, one after the other …")
        target = pair.targets[name]
        return await run_samples(target, options.idle_samples, pause_seconds=_IDLE_PAUSE_SECONDS)

    return make


def _at_half_load(options: Options, pair: Pair, rates: dict[str, float], runs: Runs) -> Maker:
    async def make(name: str) -> Run:
        rate, seconds = LOAD * rates[name], max(2.0, HALF_LOAD_SECONDS * options.scale)
        log(f"{name}: {rate:.1f} a second for {seconds:.0f} s …")
        seed = len(runs[_HALF][name])
        return await run_arrivals(pair.targets[name], rate, seconds, seed=seed)

    return make


async def _compare(options: Options, make: Maker, runs: dict[str, list[Run]]) -> Comparison:
    async def run(name: str) -> Reading:
        runs[name].append(await make(name))
        return _reading(runs[name][-1])

    contenders = {name: partial(run, name) for name in runs}
    return await in_turn(contenders, options.turns, steady=(_ACCEPT, _REACTION))


def _reading(run: Run) -> Reading:
    return {
        _ACCEPT: 1000 * run.accept.p50_seconds,
        _ACCEPT_TAIL: 1000 * run.accept.p99_seconds,
        _REACTION: 1000 * run.reaction.p50_seconds,
        _REACTION_TAIL: 1000 * run.reaction.p99_seconds,
    }


def _result(found: dict[str, Comparison], runs: Runs, rates: dict[str, float]) -> Result:
    tables = [
        compared(f"Latency {busy}", comparison, DARKROOM, BASELINE) for busy, comparison in found.items()
    ]
    goals = [
        Goal.of(f"{row.partition(' p50')[0]}, p50, {busy}, times the baseline's", ratio, at_most=at_most)
        for busy, comparison in found.items()
        for row, at_most in ((_ACCEPT, MAX_ACCEPT_RATIO), (_REACTION, MAX_REACTION_RATIO))
        for ratio in (comparison.ratio(DARKROOM, BASELINE, row),)
    ]
    note = ", ".join(f"{name} {LOAD * rate:.1f} a second" for name, rate in rates.items())
    numbers = {
        "accept": _pooled(runs[_IDLE][DARKROOM], "accept"),
        "bare_start": _pooled(runs[_IDLE][BASELINE], "accept"),
        "webhook_to_completed": _pooled(runs[_IDLE][DARKROOM], "reaction"),
        "bare_signal_to_result": _pooled(runs[_IDLE][BASELINE], "reaction"),
        "accept_at_half_load": _pooled(runs[_HALF][DARKROOM], "accept"),
        "bare_start_at_half_load": _pooled(runs[_HALF][BASELINE], "accept"),
        "webhook_to_completed_at_half_load": _pooled(runs[_HALF][DARKROOM], "reaction"),
        "bare_signal_to_result_at_half_load": _pooled(runs[_HALF][BASELINE], "reaction"),
        "latency_runs": {busy: comparison.as_json() for busy, comparison in found.items()},
    }
    return Result(tables, goals, [f"Half load: {note}"], numbers)


def _pooled(runs: Sequence[Run], what: str) -> dict[str, float]:
    """Return the percentiles over all runs, kept or not."""
    pooled = Run([sample for run in runs for sample in run.samples], 1.0)
    return (pooled.accept if what == "accept" else pooled.reaction).as_json()
