"""DBOS itself: the only module that imports it, as only the environment of its processes has it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from dbos import DBOS, DBOSClient, EnqueueOptions, SetWorkflowID, StepOptions
from dbos import error as dbos_errors
from sqlalchemy.exc import SQLAlchemyError
from temporalio.testing import ActivityEnvironment

from benchmarks.dbos.lifecycle import Lifecycle
from benchmarks.dbos.steps import Message, MessageKind, Timed
from composition.activities import Activities
from domain.credits import Refund, Reservation
from domain.errors import PermanentError, ServiceError, TemporalUnavailable
from domain.generation import GenerationInput, Outcome, TerminalState, TimingPolicy
from domain.ports import WorkflowState
from domain.provider import (
    AttemptRef,
    JobStatus,
    PollResult,
    ResultSignal,
    StoreRequest,
    StoreResult,
    SubmitRequest,
    SubmitResult,
)
from domain.slots import SlotRequest

T = TypeVar("T")
Start = Callable[[GenerationInput], Awaitable[None]]
QUEUE = WORKFLOW = "generation"
_APPLICATION = "darkroom"
_OPEN_STATUSES = ("ENQUEUED", "DELAYED", "PENDING")
_CALL_SECONDS = 3.0


@dataclass(frozen=True)
class Retry:
    """How often a step is tried, how long one try may take, and how long the pause is."""

    attempts: int
    timeout_seconds: float
    pause_seconds: float = 1.0

    def options(self, name: str) -> StepOptions:
        return StepOptions(
            name=name,
            retries_allowed=self.attempts > 1,
            max_attempts=self.attempts,
            interval_seconds=self.pause_seconds,
            backoff_rate=1.0,
            should_retry=_may_succeed,
            timeout_seconds=self.timeout_seconds,
        )


def _may_succeed(error: BaseException) -> bool:
    return not isinstance(error, PermanentError)


# The counterparts of those in workflows/steps.py. Money must end up somewhere.
_LEDGER = Retry(1_000_000, timeout_seconds=15.0)
_STORE = Retry(10_000, timeout_seconds=600.0, pause_seconds=5.0)
_POLL = Retry(1, timeout_seconds=30.0)
_CANCEL = Retry(3, timeout_seconds=10.0)


class DbosSteps:
    """Darkroom's activities as DBOS steps.

    environment: what an activity asks Temporal for; whether the worker stops is all that it tells.
    """

    def __init__(self, activities: Activities, environment: ActivityEnvironment) -> None:
        self._activities = activities
        self._environment = environment

    async def receive(self, timeout_seconds: float) -> Message | None:
        message: Message | None = await DBOS.recv_async(None, timeout_seconds)
        return message

    async def check_input(self, generation_id: str) -> bool:
        return (await self._step(_LEDGER, self._activities.moderation.check_input, generation_id)).value

    async def reserve(self, generation_id: str) -> Timed[Reservation]:
        return await self._step(_LEDGER, self._activities.credits.reserve_credits, generation_id)

    async def request_slot(self, attempt: AttemptRef) -> Timed[bool]:
        wanted = SlotRequest(attempt.generation_id, attempt.ordinal)
        return await self._step(_LEDGER, self._activities.slots.request_slot, wanted)

    async def submit(self, attempt: AttemptRef, timing: TimingPolicy) -> Timed[SubmitResult]:
        wanted = SubmitRequest(attempt.generation_id, attempt.ordinal, gives_back_slot=True)
        retry = Retry(12, timing.submit_timeout_seconds)
        return await self._step(retry, self._activities.provider.submit_job, wanted)

    async def poll(self, attempt: AttemptRef) -> Timed[PollResult]:
        async def poll_once(attempt: AttemptRef) -> PollResult:
            try:
                return await self._activities.provider.fetch_result(attempt)
            except ServiceError:
                return PollResult(JobStatus.RUNNING)

        return await self._step(_POLL, poll_once, attempt)

    async def cancel(self, attempt: AttemptRef) -> bool:
        try:
            return (await self._step(_CANCEL, self._activities.provider.cancel_job, attempt)).value
        except ServiceError:
            return False

    async def store(self, wanted: StoreRequest) -> StoreResult:
        return (await self._step(_STORE, self._activities.assets.store_assets, wanted)).value

    async def settle(self, generation_id: str) -> Outcome:
        return (await self._step(_LEDGER, self._activities.credits.settle_credits, generation_id)).value

    async def refund(self, generation_id: str, terminal_state: TerminalState, provider: str) -> Refund:
        refund = self._activities.credits.refund_credits
        return (await self._step(_LEDGER, refund, generation_id, terminal_state, provider)).value

    async def _step(self, retry: Retry, call: Callable[..., Awaitable[T]], *arguments: Any) -> Timed[T]:
        """Run an activity as one recorded step. Raises what its last try raised."""

        async def timed() -> Timed[T]:
            return Timed(await self._environment.run(call, *arguments), time.time())

        try:
            recorded: Timed[T] = await DBOS.run_step_async(retry.options(call.__name__), timed)
        except dbos_errors.DBOSMaxStepRetriesExceeded as error:
            raise _service_error(error.errors[-1]) from error
        except dbos_errors.DBOSStepTimeoutError as error:
            raise _service_error(error) from error
        return recorded


def _service_error(error: BaseException) -> ServiceError:
    return error if isinstance(error, ServiceError) else ServiceError(repr(error))


class DbosWorkflowClient:
    """What the API and the activities know as Temporal: start, signal and query, through DBOS's tables.

    A message to a workflow that has ended is stored and never read; that it came late is not told.

    start: starts a workflow in this process; without it, they are put into the queue.
    """

    def __init__(self, database_url: str, start: Start | None = None) -> None:
        self._start = start or self._enqueue
        self._client = DBOSClient(
            system_database_url=database_url,
            application_name=_APPLICATION,
            lazy=True,
            retry_connection_errors=False,
        )

    async def start_workflow(self, generation: GenerationInput, title: str) -> None:
        await self._bounded(self._start(generation))

    async def signal_result(self, generation_id: str, signal: ResultSignal) -> bool:
        return await self._send(generation_id, Message(MessageKind.RESULT, signal.ordinal, signal))

    async def signal_slot_granted(self, attempt: AttemptRef) -> bool:
        return await self._send(attempt.generation_id, Message(MessageKind.SLOT_GRANTED, attempt.ordinal))

    async def signal_provider_closed(self, attempt: AttemptRef) -> bool:
        return await self._send(attempt.generation_id, Message(MessageKind.PROVIDER_CLOSED, attempt.ordinal))

    async def signal_cancel(self, generation_id: str) -> bool:
        return await self._send(generation_id, Message(MessageKind.CANCEL))

    async def describe_workflow(self, generation_id: str) -> WorkflowState:
        try:
            handle: Any = await self._bounded(self._client.retrieve_workflow_async(generation_id))
            status = await self._bounded(handle.get_status())
        except dbos_errors.DBOSNonExistentWorkflowError:
            return WorkflowState(exists=False, running=False)
        return WorkflowState(exists=True, running=status.status in _OPEN_STATUSES)

    async def query_status(self, generation_id: str, *, within: timedelta) -> Mapping[str, Any] | None:
        """Return the steps so far, which are all that DBOS shows of a workflow."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                steps = await self._client.list_workflow_steps_async(generation_id)
        except (SQLAlchemyError, TimeoutError):
            return None
        return {"steps": [step["function_name"] for step in steps]}

    async def healthy(self) -> bool:
        try:
            await self._bounded(self._client.check_connection_async())
        except TemporalUnavailable:
            return False
        return True

    def close(self) -> None:
        self._client.destroy()

    async def _enqueue(self, generation: GenerationInput) -> None:
        options = EnqueueOptions(
            workflow_name=WORKFLOW, queue_name=QUEUE, workflow_id=generation.generation_id
        )
        await self._client.enqueue_async(options, generation)

    async def _send(self, generation_id: str, message: Message) -> bool:
        try:
            await self._bounded(self._client.send_async(generation_id, message))
        except dbos_errors.DBOSNonExistentWorkflowError:
            return False
        return True

    async def _bounded(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await call
        except (SQLAlchemyError, TimeoutError) as error:
            raise TemporalUnavailable(type(error).__name__) from error


@asynccontextmanager
async def running_workflows(
    database_url: str, steps: DbosSteps, *, queue_polling_seconds: float
) -> AsyncIterator[Start]:
    """Run every workflow of the queue on this event loop for the block; yield what starts one at once."""

    async def generation(job: GenerationInput) -> Outcome:
        return await Lifecycle(steps, job).run()

    DBOS(config={"name": _APPLICATION, "system_database_url": database_url, "log_level": "WARNING"})
    workflow = DBOS.workflow(name=WORKFLOW)(generation)
    DBOS.launch()
    await DBOS.register_queue_async(QUEUE, polling_interval_sec=queue_polling_seconds)

    async def start(job: GenerationInput) -> None:
        with SetWorkflowID(job.generation_id):
            await DBOS.start_workflow_async(workflow, job)

    try:
        yield start
    finally:
        await asyncio.to_thread(DBOS.destroy)
