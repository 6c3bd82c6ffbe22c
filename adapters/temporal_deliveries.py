"""The workflows of deliveries, from outside: started once, looked at, woken."""

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
from domain.errors import TemporalUnavailable
from domain.webhooks import DeliveryInput

_TENANT = SearchAttributeKey.for_keyword(temporal_names.TENANT_ATTRIBUTE)


class TemporalDeliveries:
    """One workflow for each run of a delivery. Every call is bounded.

    call_seconds: for each call.
    """

    def __init__(self, client: Client, *, task_timeout: timedelta, call_seconds: float = 3.0) -> None:
        self._client = client
        self._task_timeout = task_timeout
        self._call_seconds = call_seconds

    async def start_delivery(self, delivery: DeliveryInput) -> None:
        async with self._bounded():
            with suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    temporal_names.DELIVERY_WORKFLOW,
                    delivery,
                    id=delivery.workflow_id,
                    task_queue=temporal_names.DELIVERIES_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    task_timeout=self._task_timeout,
                    memo={"tenant_id": delivery.tenant_id, "endpoint_id": delivery.endpoint_id},
                    search_attributes=TypedSearchAttributes(
                        [SearchAttributePair(_TENANT, delivery.tenant_id)]
                    ),
                    static_summary=f"{delivery.type} to {delivery.endpoint_id}",
                    priority=Priority(fairness_key=delivery.tenant_id[:64]),
                )

    async def is_delivery_open(self, workflow_id: str) -> bool:
        async with self._bounded():
            try:
                found = await self._client.get_workflow_handle(workflow_id).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
            return found.status is WorkflowExecutionStatus.RUNNING

    async def wake_delivery(self, workflow_id: str) -> None:
        async with self._bounded():
            try:
                await self._client.get_workflow_handle(workflow_id).signal(temporal_names.SEND_NOW_SIGNAL)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended by itself
                    raise

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._call_seconds):
                yield
        except (RPCError, RuntimeError, TimeoutError) as error:  # RuntimeError: a lazy client cannot connect
            raise TemporalUnavailable(type(error).__name__) from error
