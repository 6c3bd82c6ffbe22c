"""Temporal from outside a workflow: start, signal, describe, query."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain import temporal_names
from domain.errors import TemporalUnavailable
from domain.generation import GenerationInput, Stage
from domain.ports import WorkflowState
from domain.provider import AttemptRef, ResultSignal

T = TypeVar("T")
_log = logging.getLogger("darkroom.temporal")
# What a busy Temporal may take for a call that nobody waits for; after this the reconciler has looked.
_BACKGROUND_SECONDS = 10.0
_CLOSED = (
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
)


class TemporalWorkflowClient:
    """A generation's workflow, addressed by the generation's id.

    Every call is bounded: a timeout given to the RPC alone does not bound it.

    call_seconds: for each call. background_calls: how many starts and signals may go on after that time,
    while their callers wait no longer. So what a busy Temporal is slow to take is not left to polls and the
    reconciler, which would ask it for more.
    """

    def __init__(
        self,
        client: Client,
        *,
        task_timeout: timedelta,
        background_calls: int = 0,
        call_seconds: float = 1.0,
    ) -> None:
        self._client = client
        self._task_timeout = task_timeout
        self._call_seconds = call_seconds
        self._max_background = background_calls
        self._background: set[asyncio.Task[Any]] = set()

    async def start_workflow(self, generation: GenerationInput, title: str) -> None:
        await self._answer(self._start(generation, title))

    async def _start(self, generation: GenerationInput, title: str) -> None:
        async with _bounded(_BACKGROUND_SECONDS):
            with suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    temporal_names.GENERATION_WORKFLOW,
                    generation,
                    id=generation.generation_id,
                    task_queue=temporal_names.GENERATIONS_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    # A worker that dies during a local activity is noticed after this long.
                    task_timeout=self._task_timeout,
                    memo={"tenant_id": generation.tenant_id, "model": generation.model},
                    search_attributes=_attributes(generation),
                    static_summary=f"{title} for {generation.tenant_id}",
                    priority=Priority(fairness_key=generation.tenant_id[:64]),
                )

    async def signal_result(self, generation_id: str, signal: ResultSignal) -> bool:
        return await self._signal(generation_id, temporal_names.RESULT_SIGNAL, signal)

    async def signal_slot_granted(self, attempt: AttemptRef) -> bool:
        return await self._signal(attempt.generation_id, temporal_names.SLOT_GRANTED_SIGNAL, attempt)

    async def signal_provider_closed(self, attempt: AttemptRef) -> bool:
        return await self._signal(attempt.generation_id, temporal_names.PROVIDER_CLOSED_SIGNAL, attempt)

    async def signal_cancel(self, generation_id: str) -> bool:
        return await self._signal(generation_id, temporal_names.CANCEL_SIGNAL)

    async def describe_workflow(self, generation_id: str) -> WorkflowState:
        async with _bounded(self._call_seconds):
            try:
                found = await self._client.get_workflow_handle(generation_id).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return WorkflowState(exists=False, running=False)
                raise
            # A status that this version does not know, such as "paused", is one of an open workflow.
            return WorkflowState(exists=True, running=found.status not in _CLOSED)

    async def query_status(self, generation_id: str, *, within: timedelta) -> Mapping[str, Any] | None:
        try:
            async with asyncio.timeout(within.total_seconds()):
                handle = self._client.get_workflow_handle(generation_id)
                view: Mapping[str, Any] = await handle.query(temporal_names.STATUS_QUERY, rpc_timeout=within)
                return view
        except (RPCError, RuntimeError, TimeoutError):
            return None

    async def healthy(self) -> bool:
        try:
            async with _bounded(self._call_seconds):
                return await self._client.service_client.check_health()
        except TemporalUnavailable:
            return False

    async def _signal(self, generation_id: str, name: str, *arguments: object) -> bool:
        is_received = await self._answer(self._send(generation_id, name, *arguments))
        if is_received is None:
            raise TemporalUnavailable("a signal is still on its way")
        return is_received

    async def _send(self, generation_id: str, name: str, *arguments: object) -> bool:
        async with _bounded(_BACKGROUND_SECONDS):
            try:
                await self._client.get_workflow_handle(generation_id).signal(name, args=arguments)
            except RPCError as error:
                # Never started, or already ended.
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
            return True

    async def _answer(self, call: Coroutine[Any, Any, T]) -> T | None:
        """Return what Temporal answers in time; None if the call goes on. Raises TemporalUnavailable."""
        task = asyncio.create_task(call)
        goes_on = False
        try:
            await asyncio.wait((task,), timeout=self._call_seconds)
        finally:  # also where the caller is gone: what was sent is not taken back
            if not task.done():
                goes_on = self._go_on(task)
        if goes_on:
            return None
        if not task.done():
            raise TemporalUnavailable("no answer in time")
        return task.result()

    def _go_on(self, task: asyncio.Task[Any]) -> bool:
        """Leave a call running if there is room for it, else cancel it."""
        if len(self._background) >= self._max_background:
            task.cancel()
            return False
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(_log_failed)
        return True


def _log_failed(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.warning("a call failed, and is left to the reconciler: %s", task.exception())


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    """Allow so many seconds, and raise one error for every way in which Temporal can be away."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (RPCError, RuntimeError, TimeoutError) as error:  # RuntimeError: a lazy client cannot connect
        raise TemporalUnavailable(type(error).__name__) from error


def _attributes(generation: GenerationInput) -> TypedSearchAttributes:
    values = {
        temporal_names.TENANT_ATTRIBUTE: generation.tenant_id,
        temporal_names.MODEL_ATTRIBUTE: generation.model,
        temporal_names.PROVIDER_ATTRIBUTE: generation.provider,
        temporal_names.STAGE_ATTRIBUTE: Stage.RESERVING.value,
    }
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items()]
    )
