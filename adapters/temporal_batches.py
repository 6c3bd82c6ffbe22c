"""The workflows of batches, from outside: started once, told of a cancel, looked at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

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
from domain.batches import BatchInput
from domain.errors import TemporalUnavailable
from domain.ports import WorkflowState

_TENANT = SearchAttributeKey.for_keyword(temporal_names.TENANT_ATTRIBUTE)


class TemporalBatches:
    """One workflow for each batch, addressed by the batch's id. Every call is bounded.

    An id may be used again, where the workflow of an open batch is lost. One that runs is not disturbed, and
    one that looks at a batch that has ended ends. call_seconds: for each call.
    """

    def __init__(self, client: Client, *, task_timeout: timedelta, call_seconds: float = 3.0) -> None:
        self._client = client
        self._task_timeout = task_timeout
        self._call_seconds = call_seconds

    async def start_batch(self, batch: BatchInput) -> None:
        async with self._bounded():
            with suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    temporal_names.BATCH_WORKFLOW,
                    batch,
                    id=batch.batch_id,
                    task_queue=temporal_names.BATCHES_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=self._task_timeout,
                    memo={"tenant_id": batch.tenant_id},
                    search_attributes=TypedSearchAttributes([SearchAttributePair(_TENANT, batch.tenant_id)]),
                    static_summary=f"batch for {batch.tenant_id}",
                    priority=Priority(fairness_key=batch.tenant_id[:64]),
                )

    async def signal_batch_cancel(self, batch_id: str) -> bool:
        async with self._bounded():
            try:
                handle = self._client.get_workflow_handle(batch_id)
                await handle.signal(temporal_names.BATCH_CANCEL_SIGNAL)
            except RPCError as error:
                # Never started, or already ended.
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
            return True

    async def describe_batch(self, batch_id: str) -> WorkflowState:
        async with self._bounded():
            try:
                found = await self._client.get_workflow_handle(batch_id).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return WorkflowState(exists=False, running=False)
                raise
            return WorkflowState(exists=True, running=found.status is WorkflowExecutionStatus.RUNNING)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._call_seconds):
                yield
        except (RPCError, RuntimeError, TimeoutError) as error:  # RuntimeError: a lazy client cannot connect
            raise TemporalUnavailable(type(error).__name__) from error
