"""The scenario of a benchmark: what is measured, in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from temporalio.client import Client

from benchmarks.baseline.target import BaselineTarget
from benchmarks.cpu import cpu_seconds, per_sample
from benchmarks.darkroom_target import DarkroomTarget
from benchmarks.errors import RunFailed
from benchmarks.load import Run, Sample, Target, run_samples
from devstack.process.log import Log

# The first samples pay for imports, connections and the sandbox's first workflow.
WARM_UP_LAPS = 20
WARM_UP_AT_ONCE = 5
EVENT_SAMPLES = 50
# A workflow's end is seen before its last writes are done: they must not be load for the next one.
IDLE_PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class Plan:
    """The size of a benchmark. `idle_samples`: one after the other, for latencies without load."""

    generations: int = 200
    at_once: int = 40
    idle_samples: int = 50


@dataclass(frozen=True)
class Loaded:
    """A run with many at once, and its processor time by part, in milliseconds per sample."""

    run: Run
    cpu_ms: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """All results of a benchmark. The baseline runs before and after, so that noise is visible."""

    idle: Run
    baseline_idle: Run
    loaded: Loaded
    baseline_loaded: tuple[Loaded, Loaded]
    events: float
    events_loaded: float
    baseline_events: float

    @property
    def baseline_per_second(self) -> float:
        """Return the rate of both baseline runs together."""
        runs = [each.run for each in self.baseline_loaded]
        return sum(len(run.samples) for run in runs) / sum(run.seconds for run in runs)


async def measure(
    plan: Plan,
    client: Client,
    darkroom: DarkroomTarget,
    baseline: BaselineTarget,
    pids: Mapping[str, int],
    log: Log,
) -> Measured:
    """Measure latencies first, without load; then throughput: baseline, Darkroom, baseline.

    pids: of the parts whose processor time is measured.
    """
    log("warming up …")
    for target in (darkroom, baseline):
        await run_samples(target, min(WARM_UP_LAPS, plan.generations), at_once=WARM_UP_AT_ONCE)
    log(f"{plan.idle_samples} generations, then baseline workflows, one after the other …")
    idle, baseline_idle = [
        await run_samples(target, plan.idle_samples, pause_seconds=IDLE_PAUSE_SECONDS)
        for target in (darkroom, baseline)
    ]
    loaded = []
    for name, target in (
        ("baseline workflows", baseline),
        ("generations", darkroom),
        ("baseline workflows", baseline),
    ):
        log(f"{plan.generations} {name}, {plan.at_once} at once …")
        loaded.append(await _loaded(plan, target, pids))
    return Measured(
        idle=idle,
        baseline_idle=baseline_idle,
        loaded=loaded[1],
        baseline_loaded=(loaded[0], loaded[2]),
        events=await _events(client, idle.samples),
        events_loaded=await _events(client, loaded[1].run.samples),
        baseline_events=await _events(client, baseline_idle.samples),
    )


async def _loaded(plan: Plan, target: Target, pids: Mapping[str, int]) -> Loaded:
    before = cpu_seconds(pids)
    run = await run_samples(target, plan.generations, at_once=plan.at_once)
    return Loaded(run, per_sample(before, cpu_seconds(pids), plan.generations))


async def _events(client: Client, samples: Sequence[Sample]) -> float:
    """Return the average number of history events of a closed run that a provider's signal ended."""
    heard = [sample for sample in samples if sample.reaction_seconds is not None][-EVENT_SAMPLES:]
    if not heard:
        raise RunFailed("no generation was finished by its webhook")
    lengths = []
    for sample in heard:
        handle = client.get_workflow_handle(sample.workflow_id)
        await handle.result()  # the row ends a moment before the run does
        lengths.append((await handle.describe()).history_length)
    return fmean(lengths)
