"""`python -m benchmarks.overload`: what a generation costs with few and with many at once.

On a stack of its own with temporary data, and the settings of `make up`. Work that is done twice shows in
the histories: workflow tasks that failed or timed out, activities that were tried again, and ledger steps
that did not end as local activities.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowHistory

from benchmarks.blocking import in_thread, run_until_stopped, stop_flag_for
from benchmarks.cpu import cpu_seconds, per_sample
from benchmarks.darkroom_target import DarkroomTarget, darkroom_target
from benchmarks.load import Run, run_samples
from composition.temporal import TemporalAddress, connect
from devstack.process.log import log
from devstack.process.supervisor import SUPERVISOR
from devstack.stack.running import Stack, running_stack
from runtime.process import run

AT_ONCE = (1, 8, 40, 120, 400)
SETTINGS = {"FAL_SUBMITS_PER_SECOND": "1000", "WORKER_GRACE_SECONDS": "8"}
SIMULATOR = ("--job-seconds", "0.5")
_LOCAL_STEPS = ("reserve_credits", "settle_credits", "refund_credits", "ask_for_place")
_REPEATED = ("task timeouts", "task failures", "retries", "steps not local")


@dataclass(frozen=True)
class Level:
    """A run with so many at once. cpu_ms: per generation, of each part of the stack and of this client."""

    at_once: int
    run: Run
    cpu_ms: dict[str, float]
    repeated: Counter[str]

    @property
    def worker_ms(self) -> float:
        return self.cpu_ms["worker"]


def repeated_work(history: WorkflowHistory) -> Counter[str]:
    """Count what a history shows to be done twice, or in the dearer way."""
    found: Counter[str] = Counter()
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            found["task timeouts"] += 1
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            found["task failures"] += 1
            cause = event.workflow_task_failed_event_attributes.cause
            log(f"a workflow task failed: {WorkflowTaskFailedCause.Name(cause)}")
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            found["retries"] += event.activity_task_started_event_attributes.attempt - 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            found["steps not local"] += name in _LOCAL_STEPS
    return found


async def _level(
    at_once: int, count: int, target: DarkroomTarget, client: Client, pids: dict[str, int]
) -> Level:
    log(f"{count} generations, {at_once} at once …")
    before = cpu_seconds(pids)
    load = await run_samples(target, count, at_once=at_once)
    cpu_ms = per_sample(before, cpu_seconds(pids), count)
    repeated: Counter[str] = Counter()
    for sample in load.samples:
        repeated += repeated_work(await client.get_workflow_handle(sample.workflow_id).fetch_history())
    return Level(at_once, load, cpu_ms, repeated)


async def _measured(stack: Stack, pids: dict[str, int], levels: Sequence[int], per_level: int) -> list[Level]:
    where = TemporalAddress(stack.servers.temporal.address, stack.servers.temporal.namespace)
    client = await connect(where)
    async with darkroom_target(stack) as target:
        log("warming up …")
        await run_samples(target, 20, at_once=5)
        counts = [min(per_level, max(20, 10 * at_once)) for at_once in levels]
        return [
            await _level(at_once, max(at_once, count), target, client, pids)
            for at_once, count in zip(levels, counts, strict=True)
        ]


def show(levels: list[Level]) -> None:
    """Print a line a level, and the two ratios that matter."""
    out = sys.stdout.write
    parts = list(levels[0].cpu_ms)
    columns = [
        "at once",
        "per s",
        *(f"{name} ms" for name in parts),
        "together ms",
        "accept p50 ms",
        *_REPEATED,
    ]
    out("   ".join(columns) + "\n")
    for level in levels:
        cpu_ms = [level.cpu_ms[name] for name in parts]
        found = [
            f"{level.at_once}",
            f"{level.run.per_second:.1f}",
            *(f"{ms:.0f}" for ms in (*cpu_ms, sum(cpu_ms), 1000 * level.run.accept.p50_seconds)),
            *(f"{level.repeated[name]}" for name in _REPEATED),
        ]
        out("   ".join(each.rjust(len(name)) for each, name in zip(found, columns, strict=True)) + "\n")
    last, best = levels[-1], max(level.run.per_second for level in levels)
    out(f"throughput at {last.at_once}: {last.run.per_second / best:.2f} of the best\n")
    cheapest = min(level.worker_ms for level in levels)
    out(f"worker's processor time at {last.at_once}: {last.worker_ms / cheapest:.2f} of the least\n")


async def bench(levels: Sequence[int], per_level: int, stop: asyncio.Event) -> int:
    async with AsyncExitStack() as exits:
        flag = await exits.enter_async_context(stop_flag_for(stop))
        starting = running_stack(settings=SETTINGS, simulator_arguments=SIMULATOR, stop=flag)
        stack = await exits.enter_async_context(in_thread(starting))
        pids = {name: pid for name, pid in stack.supervisor.pids.items() if name != SUPERVISOR}
        show(await run_until_stopped(stop, _measured(stack, pids, levels, per_level)))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=400, help="at each level, at most")
    parser.add_argument("--at-once", type=int, nargs="+", default=AT_ONCE, help="the levels")
    asked = parser.parse_args()
    run(lambda stop: bench(asked.at_once, asked.generations, stop))
