"""The baseline's worker process: `python -m benchmarks.baseline.worker ADDRESS NAMESPACE`.

Prints `ready`, then `submitted ID` at each submit. It ends with its standard input, so it never outlives the
benchmark.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.baseline.steps import ASSETS_QUEUE, IDLE_QUEUES, SUBMIT_QUEUE, WORKFLOWS_QUEUE, BaselineSteps
from benchmarks.baseline.workflow import BaselineWorkflow
from composition import ServiceSettings
from composition.temporal import TemporalAddress, connect
from runtime.process import run
from runtime.workflow_runner import PRODUCTION_RUNNER

READY = "ready"
SUBMITTED = "submitted"


def build_workers(client: Client) -> list[Worker]:
    """Return as many Workers as Darkroom has, with the same tuning."""
    steps = BaselineSteps(lambda workflow_id: _tell(f"{SUBMITTED} {workflow_id}"))
    ledger: dict[str, Any] = {
        "workflows": [BaselineWorkflow],
        "activities": [steps.baseline_reserve],
        "max_concurrent_local_activities": _default("database_pool_size"),
        "max_concurrent_workflow_tasks": _default("worker_max_workflow_tasks"),
    }
    wanted: dict[str, dict[str, Any]] = {
        WORKFLOWS_QUEUE: ledger,
        SUBMIT_QUEUE: {"activities": [steps.baseline_submit]},
        ASSETS_QUEUE: {"activities": [steps.baseline_store]},
    }
    wanted |= {queue: {"activities": [steps.baseline_store]} for queue in IDLE_QUEUES}
    return [_worker(client, queue, **registered) for queue, registered in wanted.items()]


def _worker(client: Client, queue: str, **registered: Any) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflow_runner=PRODUCTION_RUNNER,
        max_concurrent_activities=_default("worker_max_activities"),
        max_cached_workflows=_default("worker_cached_workflows"),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=_default("worker_sticky_timeout_seconds")),
        disable_eager_activity_execution=True,
        **registered,
    )


def _default(name: str) -> Any:
    return ServiceSettings.model_fields[name].default


async def serve(where: TemporalAddress, stop: asyncio.Event) -> int:
    client = await connect(where)
    async with AsyncExitStack() as exits:
        for worker in build_workers(client):
            await exits.enter_async_context(worker)
        _tell(READY)
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(_input_ends())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    return 0


async def _input_ends() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    await reader.read()


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    address, namespace = sys.argv[1:]
    run(lambda stop: serve(TemporalAddress(address, namespace), stop))
