"""The course of a benchmark: what is measured, in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from temporalio.client import Client

from benchmarks.bare_subject import BareSubject
from benchmarks.cpu import cpu_seconds, per_lap
from benchmarks.darkroom_subject import DarkroomSubject
from benchmarks.errors import RunFailed
from benchmarks.laps import Lap, Run, Subject, run_laps
from devstack.console import Say

# The first laps pay for imports, connections and the sandbox's first workflow.
WARM_UP_LAPS = 20
WARM_UP_AT_ONCE = 5
EVENT_SAMPLES = 50
# A workflow's end is seen before its last writes are done: they must not be load for the next one.
IDLE_PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class Plan:
    """How much to do. `idle_laps`: one after the other, for latencies without load."""

    generations: int = 200
    at_once: int = 40
    idle_laps: int = 50


@dataclass(frozen=True)
class Loaded:
    """A run with many at once, and the processor time of each part in it, in milliseconds per lap."""

    run: Run
    cpu_ms: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """Everything that a benchmark found. The reference runs before and after, so that noise shows."""

    idle: Run
    bare_idle: Run
    loaded: Loaded
    bare_loaded: tuple[Loaded, Loaded]
    events: float
    events_loaded: float
    bare_events: float

    @property
    def bare_per_second(self) -> float:
        """Of both runs together."""
        runs = [each.run for each in self.bare_loaded]
        return sum(len(run.laps) for run in runs) / sum(run.seconds for run in runs)


async def measure(
    plan: Plan,
    client: Client,
    darkroom: DarkroomSubject,
    bare: BareSubject,
    pids: Mapping[str, int],
    say: Say,
) -> Measured:
    """Latencies first, while nothing else goes on; then throughput: bare, Darkroom, bare.

    pids: of the parts whose processor time counts.
    """
    say("warming up …")
    for subject in (darkroom, bare):
        await run_laps(subject, min(WARM_UP_LAPS, plan.generations), at_once=WARM_UP_AT_ONCE)
    say(f"{plan.idle_laps} generations, then bare workflows, one after the other …")
    idle, bare_idle = [
        await run_laps(subject, plan.idle_laps, pause_seconds=IDLE_PAUSE_SECONDS)
        for subject in (darkroom, bare)
    ]
    loaded = []
    for name, subject in (("bare workflows", bare), ("generations", darkroom), ("bare workflows", bare)):
        say(f"{plan.generations} {name}, {plan.at_once} at once …")
        loaded.append(await _loaded(plan, subject, pids))
    return Measured(
        idle=idle,
        bare_idle=bare_idle,
        loaded=loaded[1],
        bare_loaded=(loaded[0], loaded[2]),
        events=await _events(client, idle.laps),
        events_loaded=await _events(client, loaded[1].run.laps),
        bare_events=await _events(client, bare_idle.laps),
    )


async def _loaded(plan: Plan, subject: Subject, pids: Mapping[str, int]) -> Loaded:
    before = cpu_seconds(pids)
    run = await run_laps(subject, plan.generations, at_once=plan.at_once)
    return Loaded(run, per_lap(before, cpu_seconds(pids), plan.generations))


async def _events(client: Client, laps: Sequence[Lap]) -> float:
    """History events of a closed run that the provider's word ended, on average."""
    heard = [lap for lap in laps if lap.reaction_seconds is not None][-EVENT_SAMPLES:]
    if not heard:
        raise RunFailed("no generation was finished by its webhook")
    lengths = []
    for lap in heard:
        handle = client.get_workflow_handle(lap.workflow_id)
        await handle.result()  # the row ends a moment before the run does
        lengths.append((await handle.describe()).history_length)
    return fmean(lengths)
