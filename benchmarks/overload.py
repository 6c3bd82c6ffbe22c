"""`python -m benchmarks.overload`: what a generation costs with few and with many at once.

On a stack of its own with temporary data, and the settings of `make up`. Work that is done twice shows in
the histories: workflow tasks that failed or timed out, activities that were tried again, and ledger steps
that did not end as local activities.
"""

import argparse
import asyncio
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
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
    """A run with so many at once. cpu_ms: per generation, of the worker and of all parts together."""

    at_once: int
    run: Run
    worker_ms: float
    total_ms: float
    repeated: Counter[str]


def repeated_work(history: WorkflowHistory) -> Counter[str]:
    """Count what a history shows to be done twice, or in the dearer way."""
    found: Counter[str] = Counter()
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            found["task timeouts"] += 1
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            found["task failures"] += 1
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
    parts = {name: ms for name, ms in cpu_ms.items() if name in pids}
    return Level(at_once, load, parts["worker"], sum(parts.values()), repeated)


async def _measured(stack: Stack, pids: dict[str, int], per_level: int) -> list[Level]:
    where = TemporalAddress(stack.servers.temporal.address, stack.servers.temporal.namespace)
    client = await connect(where)
    async with darkroom_target(stack) as target:
        log("warming up …")
        await run_samples(target, 20, at_once=5)
        counts = [min(per_level, max(20, 10 * at_once)) for at_once in AT_ONCE]
        return [
            await _level(at_once, max(at_once, count), target, client, pids)
            for at_once, count in zip(AT_ONCE, counts, strict=True)
        ]


def show(levels: list[Level]) -> None:
    """Print a line a level, and the two ratios that matter."""
    out = sys.stdout.write
    out("at once    per s   worker ms   all ms   accept p50 ms   " + "   ".join(_REPEATED) + "\n")
    for level in levels:
        counts = "   ".join(f"{level.repeated[name]:>{len(name)}}" for name in _REPEATED)
        accept_ms = 1000 * level.run.accept.p50_seconds
        out(
            f"{level.at_once:>7}   {level.run.per_second:>6.1f}   {level.worker_ms:>9.0f}"
            f"   {level.total_ms:>6.0f}   {accept_ms:>13.0f}   {counts}\n"
        )
    last, best = levels[-1], max(level.run.per_second for level in levels)
    out(f"throughput at {last.at_once}: {last.run.per_second / best:.2f} of the best\n")
    cheapest = min(level.worker_ms for level in levels)
    out(f"worker's processor time at {last.at_once}: {last.worker_ms / cheapest:.2f} of the least\n")


async def bench(per_level: int, stop: asyncio.Event) -> int:
    async with AsyncExitStack() as exits:
        flag = await exits.enter_async_context(stop_flag_for(stop))
        starting = running_stack(settings=SETTINGS, simulator_arguments=SIMULATOR, stop=flag)
        stack = await exits.enter_async_context(in_thread(starting))
        pids = {name: pid for name, pid in stack.supervisor.pids.items() if name != SUPERVISOR}
        show(await run_until_stopped(stop, _measured(stack, pids, per_level)))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=400, help="at each level, at most")
    asked = parser.parse_args()
    run(lambda stop: bench(asked.generations, stop))
