"""Darkroom and the baseline on one stack, warmed up: what most benchmarks compare."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.baseline.target import BaselineTarget, baseline_target
from benchmarks.cost import BASELINE_WORKER, Loaded, run_loaded
from benchmarks.darkroom_target import DarkroomTarget, darkroom_target
from benchmarks.load import Target, run_samples
from benchmarks.options import Options
from benchmarks.stacks import JOB_SECONDS, BenchStack, bench_stack
from devstack.process.log import log

DARKROOM, BASELINE = "Darkroom", "baseline"
# The first samples pay for imports, connections and the sandbox's first workflow.
_WARM_UP_SAMPLES, _WARM_UP_AT_ONCE = 20, 5
_BASELINE_FACTOR = 2


@dataclass(frozen=True)
class Pair:
    """Both targets, and the pids of all parts of both."""

    on: BenchStack
    darkroom: DarkroomTarget
    baseline: BaselineTarget
    pids: Mapping[str, int]

    @property
    def targets(self) -> dict[str, Target]:
        return {BASELINE: self.baseline, DARKROOM: self.darkroom}

    async def load(self, name: str, generations: int, at_once: int) -> Loaded:
        """Run so many generations with many at once, or baseline workflows for about as long.

        The beginning and the end of a run, with fewer at once, then weigh as much for both.
        """
        count = generations * (_BASELINE_FACTOR if name == BASELINE else 1)
        log(f"{name}: {count}, {at_once} at once …")
        return await run_loaded(self.targets[name], count, at_once, self.pids)


@asynccontextmanager
async def open_pair(options: Options, *, job_seconds: float = JOB_SECONDS) -> AsyncIterator[Pair]:
    """Start the stack and both targets for the block."""
    async with (
        bench_stack(options.stop, temporal=options.temporal, job_seconds=job_seconds) as on,
        darkroom_target(on.address) as darkroom,
        baseline_target(on.client, on.where, job_seconds=job_seconds) as baseline,
    ):
        pair = Pair(on, darkroom, baseline, {**on.pids, BASELINE_WORKER: baseline.worker_pid})
        log("warming up …")
        for target in pair.targets.values():
            await warm_up(target, options.generations)
        yield pair


async def warm_up(target: Target, at_most: int = _WARM_UP_SAMPLES) -> None:
    await run_samples(target, min(_WARM_UP_SAMPLES, at_most), at_once=_WARM_UP_AT_ONCE)
