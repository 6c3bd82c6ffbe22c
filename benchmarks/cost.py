"""What a run cost: processor time by part of the stack, for each generation or baseline workflow."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cpu import OURSELVES, cpu_seconds, per_sample
from benchmarks.load import Run, Target, run_samples
from devstack.servers import simulators, temporal

# In production these are somebody else's machines: the provider's and the client's.
ELSEWHERE = (simulators.NAME, OURSELVES)
TEMPORALS_POSTGRES = "temporal's postgres"
TEMPORAL = (temporal.NAME, TEMPORALS_POSTGRES)
# Of the two workers one is idle; what does the work is one row.
WORKER, BASELINE_WORKER = "worker", "baseline worker"

PER_SECOND = "per second"
TOGETHER = "together"
WITHOUT_ELSEWHERE = "without simulator and client"
WITHOUT_TEMPORAL = "also without Temporal"


@dataclass(frozen=True)
class Loaded:
    """A run, and its processor time by part, in milliseconds per sample."""

    run: Run
    cpu_ms: Mapping[str, float]

    @property
    def reading(self) -> dict[str, float]:
        """Return the throughput, the cost of each part, and three sums of them."""
        parts: dict[str, float] = {}
        for name, ms in self.cpu_ms.items():
            row = f"{WORKER if name == BASELINE_WORKER else name}, ms"
            parts[row] = parts.get(row, 0.0) + ms
        return {PER_SECOND: self.run.per_second} | parts | sums(self.cpu_ms)


def sums(cpu_ms: Mapping[str, float]) -> dict[str, float]:
    """Return the cost of all parts, of those that an operator runs, and of those but Temporal."""
    operated = {name: ms for name, ms in cpu_ms.items() if name not in ELSEWHERE}
    return {
        f"{TOGETHER}, ms": sum(cpu_ms.values()),
        f"{WITHOUT_ELSEWHERE}, ms": sum(operated.values()),
        f"{WITHOUT_TEMPORAL}, ms": sum(ms for name, ms in operated.items() if name not in TEMPORAL),
    }


async def run_loaded(target: Target, count: int, at_once: int, pids: Mapping[str, int]) -> Loaded:
    """Run `count` samples, `at_once` at a time. pids: of the parts whose processor time is measured."""
    before = cpu_seconds(pids)
    run = await run_samples(target, count, at_once=at_once)
    return Loaded(run, per_sample(before, cpu_seconds(pids), count))
