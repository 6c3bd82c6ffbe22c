"""Temporal from outside a workflow: start, signal, describe, query."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

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

_log = logging.getLogger("darkroom.temporal")
# A busy Temporal; after this the reconciler has looked.
_START_SECONDS = 10.0
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

    call_seconds: for each call. background_starts: how many starts may go on after that time, while their
    callers wait no longer. So the starts that a busy Temporal is slow to take are not left to the reconciler,
    which would repeat them all.
    """

    def __init__(
        self,
        client: Client,
        *,
        task_timeout: timedelta,
        background_starts: int = 0,
        call_seconds: float = 1.0,
    ) -> None:
        self._client = client
        self._task_timeout = task_timeout
        self._call_seconds = call_seconds
        self._background_starts = background_starts
        self._starting: set[asyncio.Task[None]] = set()

    async def start_workflow(self, generation: GenerationInput, title: str) -> None:
        start = asyncio.create_task(self._start(generation, title))
        await asyncio.wait((start,), timeout=self._call_seconds)
        if start.done():
            start.result()
        elif len(self._starting) < self._background_starts:
            self._starting.add(start)
            start.add_done_callback(self._starting.discard)
            start.add_done_callback(_log_failed_start)
        else:
            start.cancel()
            raise TemporalUnavailable("no answer in time")

    async def _start(self, generation: GenerationInput, title: str) -> None:
        async with _bounded(_START_SECONDS):
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
        async with _bounded(self._call_seconds):
            try:
                await self._client.get_workflow_handle(generation_id).signal(name, args=arguments)
            except RPCError as error:
                # Never started, or already ended.
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
            return True


def _log_failed_start(start: asyncio.Task[None]) -> None:
    if not start.cancelled() and start.exception() is not None:
        _log.warning("a start failed, and is left to the reconciler: %s", start.exception())


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
