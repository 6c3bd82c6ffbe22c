"""The baseline as a target: the benchmark acts as client, API and provider; the worker is a child."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority, WorkflowIDReusePolicy
from temporalio.service import RPCError

from benchmarks.baseline.steps import WORKFLOWS_QUEUE
from benchmarks.baseline.worker import READY, SUBMITTED
from benchmarks.baseline.workflow import BaselineWorkflow
from benchmarks.errors import RunFailed
from benchmarks.load import Sample
from composition import ServiceSettings
from composition.temporal import TemporalAddress
from devstack.servers.app_processes import ROOT

SAMPLE_TIMEOUT_SECONDS = 60.0
READY_TIMEOUT_SECONDS = 30.0
END_TIMEOUT_SECONDS = 15.0
TASK_TIMEOUT = timedelta(seconds=ServiceSettings.model_fields["workflow_task_timeout_seconds"].default)


class BaselineTarget:
    """Starts a workflow, signals it about `job_seconds` after its submit, and waits for its end."""

    def __init__(self, client: Client, worker: asyncio.subprocess.Process, *, job_seconds: float) -> None:
        self._client = client
        self._worker = worker
        self._job_seconds = job_seconds
        self._submits: dict[str, asyncio.Future[None]] = {}

    @property
    def worker_pid(self) -> int:
        return self._worker.pid

    async def sample(self) -> Sample:
        try:
            async with asyncio.timeout(SAMPLE_TIMEOUT_SECONDS):
                handle, accept_seconds = await self.start()
                await asyncio.sleep(self._job_seconds * random.uniform(0.75, 1.25))  # noqa: S311 - not a secret
                begun = time.perf_counter()
                await handle.signal(BaselineWorkflow.report_result, handle.id)
                await handle.result()
                return Sample(handle.id, accept_seconds, time.perf_counter() - begun)
        except (RPCError, TimeoutError) as error:
            raise RunFailed(f"a baseline workflow did not complete: {error!r}") from error

    async def start(self) -> tuple[WorkflowHandle[BaselineWorkflow, str], float]:
        """Start a workflow, and wait for its submit; return the seconds that the start took."""
        workflow_id = f"baseline-{uuid4()}"
        # Held here as well: its submit may be reported before the start returns, and is then off the list.
        submitted = self._submits[workflow_id] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        handle = await self._client.start_workflow(
            BaselineWorkflow.run,
            workflow_id,
            id=workflow_id,
            task_queue=WORKFLOWS_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            task_timeout=TASK_TIMEOUT,
            priority=Priority(fairness_key=WORKFLOWS_QUEUE),
        )
        accept_seconds = time.perf_counter() - begun
        await submitted
        return handle, accept_seconds

    async def listen(self) -> None:
        """Read submits until the worker's output ends; then fail those that still wait for one."""
        assert self._worker.stdout is not None
        async for line in self._worker.stdout:
            word, _, workflow_id = line.decode().strip().partition(" ")
            if word == SUBMITTED:
                submit = self._submits.pop(workflow_id, None)
                if submit is not None and not submit.done():
                    submit.set_result(None)
        for submit in self._submits.values():
            if not submit.done():
                submit.set_exception(RunFailed("the baseline worker ended"))


@asynccontextmanager
async def baseline_target(
    client: Client, where: TemporalAddress, *, job_seconds: float
) -> AsyncIterator[BaselineTarget]:
    """Run the baseline with its worker process during the block."""
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.baseline.worker", where.address, where.namespace),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        await _until_ready(worker)
        target = BaselineTarget(client, worker, job_seconds=job_seconds)
        listening = asyncio.create_task(target.listen())
        try:
            yield target
        finally:
            listening.cancel()
    finally:
        await _end(worker)


async def _until_ready(worker: asyncio.subprocess.Process) -> None:
    assert worker.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            if (await worker.stdout.readline()).decode().strip() == READY:
                return
    raise RunFailed("the baseline worker did not become ready")


async def _end(worker: asyncio.subprocess.Process) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            await worker.wait()
    except TimeoutError:
        worker.kill()
        await worker.wait()
