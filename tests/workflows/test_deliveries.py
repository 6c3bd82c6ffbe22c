"""The workflow of a delivery on real Temporal and PostgreSQL, in the sandbox, with a scripted receiver."""

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.deliveries import DeliveryActivities, DeliveryPolicy
from activities.endpoint_turns import EndpointTurns
from activities.interceptors import FailureMappingInterceptor
from adapters.database.deliveries import PostgresDeliveries
from adapters.database.delivery_log import PostgresDeliveryLog
from adapters.database.engine import Database
from adapters.database.sealed import Sealer
from adapters.database.webhook_endpoints import PostgresWebhookEndpoints
from adapters.temporal_deliveries import TemporalDeliveries
from devstack.servers.running import Servers
from domain import temporal_names
from domain.audit import SYSTEM
from domain.webhooks import (
    Delivery,
    DeliveryAttempt,
    DeliveryError,
    DeliveryInput,
    DeliveryStatus,
    SendReport,
    SendRequest,
    WebhookEndpoint,
    WebhookResponse,
)
from tests.conftest import namespaced_client
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.time_limits import scaled
from tests.support.webhook_sending import KEYRING, SUCCESS, ScriptedSender, delivery_activities_of
from tests.support.world import HISTORIES
from workflows.delivery import DeliveryWorkflow

_FAILURE = WebhookResponse(500, DeliveryError.STATUS, 1)
_QUICK = (0.0, 0.05, 0.1)
_NEVER = (0.0, 3600.0)
_POLICY = DeliveryPolicy(slow_down_seconds=0.1)


@dataclass
class Site:
    """A worker for deliveries, in a namespace of its own."""

    client: Client
    database: Database
    sender: ScriptedSender
    activities: DeliveryActivities

    def __post_init__(self) -> None:
        self.log = PostgresDeliveryLog(self.database)
        self.endpoints = PostgresWebhookEndpoints(self.database, Sealer(KEYRING))
        self.workflows = TemporalDeliveries(
            self.client, task_timeout=timedelta(seconds=10), call_seconds=scaled(30)
        )

    async def deliver(self, responses: Sequence[WebhookResponse], schedule: Sequence[float]) -> "Job":
        """Start a delivery to a new endpoint that responds like this."""
        self.sender.responses, self.sender.sent = responses, []
        tenant_id = await PostgresBooks(self.database).tenant()
        endpoint, _ = await self.endpoints.add_endpoint(
            tenant_id, "https://example.com/secret-path", "", (), max_endpoints=1, by=SYSTEM
        )
        delivery = await self.log.add_ping(endpoint)
        deliveries = PostgresDeliveries(self.database, Sealer(KEYRING), schedule)
        [wanted] = [each for each in await deliveries.list_unstarted(1000) if each.delivery_id == delivery.id]
        await self.workflows.start_delivery(wanted)
        await self.workflows.start_delivery(wanted)  # it starts once, however often it is asked for
        await deliveries.mark_started([wanted])
        handle = self.client.get_workflow_handle_for(DeliveryWorkflow.run, wanted.workflow_id)
        return Job(self, endpoint, wanted, handle)


@dataclass
class Job:
    """One delivery under test."""

    site: Site
    endpoint: WebhookEndpoint
    input: DeliveryInput
    handle: WorkflowHandle[DeliveryWorkflow, str]

    async def read(self) -> tuple[Delivery, Sequence[DeliveryAttempt]]:
        return await self.site.log.get_delivery_of(self.input.tenant_id, self.input.delivery_id)

    async def has_attempts(self, count: int) -> None:
        async def enough() -> bool:
            return len((await self.read())[1]) >= count

        await eventually(enough)

    async def keep_history(self, name: str) -> None:
        if os.environ.get("RECORD_HISTORIES"):
            history = await self.handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(history.to_json())


@pytest.fixture(scope="session")
async def site(servers: Servers, database: Database) -> AsyncIterator[Site]:
    """Run without a cache: every workflow task replays the history."""
    client, sender = await namespaced_client(servers, "deliveries"), ScriptedSender()
    activities = delivery_activities_of(database, sender, _POLICY)
    async with Worker(
        client,
        task_queue=temporal_names.DELIVERIES_QUEUE,
        workflows=[DeliveryWorkflow],
        activities=[activities.send_webhook],
        interceptors=[FailureMappingInterceptor()],
        workflow_runner=SandboxedWorkflowRunner(),
        max_cached_workflows=0,
    ):
        yield Site(client, database, sender, activities)


async def test_a_success_ends_it(site: Site) -> None:
    job = await site.deliver([SUCCESS], _QUICK)
    assert await job.handle.result() == "succeeded"
    _, [attempt] = await job.read()
    assert (attempt.number, attempt.response_status, attempt.error_code) == (1, 204, None)
    described = await job.handle.describe()
    assert await described.static_summary() == f"webhook_endpoint.ping to {job.endpoint.id}"
    await job.keep_history("delivered_at_once")


async def test_failures_are_tried_again_until_one_succeeds(site: Site) -> None:
    throttled = WebhookResponse(429, DeliveryError.STATUS, 1, retry_after_seconds=0.1)
    job = await site.deliver([_FAILURE, throttled, SUCCESS], _QUICK)
    assert await job.handle.result() == "succeeded"
    _, attempts = await job.read()
    assert [each.response_status for each in attempts] == [500, 429, 204]
    assert len({headers["webhook-id"] for _, headers, _ in site.sender.sent}) == 1
    await job.keep_history("delivered_at_last")


async def test_it_ends_with_the_schedule(site: Site) -> None:
    job = await site.deliver([_FAILURE], _QUICK)
    assert await job.handle.result() == "exhausted"
    assert len(site.sender.sent) == len(_QUICK)
    await job.keep_history("delivery_exhausted")


async def test_a_pause_ends_when_it_is_wanted_now(site: Site) -> None:
    job = await site.deliver([_FAILURE, SUCCESS], _NEVER)
    await job.has_attempts(1)
    _, workflow_id = await site.log.resend_delivery(job.input.tenant_id, job.input.delivery_id)
    assert workflow_id == job.input.workflow_id
    await site.workflows.wake_delivery(workflow_id)
    assert await job.handle.result() == "succeeded"
    await job.keep_history("delivery_sent_now")


async def test_a_pause_ends_when_its_endpoint_is_deleted(site: Site) -> None:
    job = await site.deliver([_FAILURE], _NEVER)
    await job.has_attempts(1)
    [workflow_id] = await site.endpoints.delete_endpoint(job.input.tenant_id, job.endpoint.id, 10, by=SYSTEM)
    await site.workflows.wake_delivery(workflow_id)
    assert await job.handle.result() == "canceled"
    assert len(site.sender.sent) == 1
    await job.keep_history("delivery_canceled_while_waiting")


async def test_it_waits_while_its_endpoint_has_no_turn(site: Site) -> None:
    turns = EndpointTurns(max_of_receiver=0)
    site.activities.turns, free = turns, site.activities.turns
    job = await site.deliver([SUCCESS], _QUICK)

    async def has_asked() -> bool:
        return turns.refused > 1

    await eventually(has_asked)
    site.activities.turns = free
    assert await job.handle.result() == "succeeded"
    assert len(site.sender.sent) == 1
    await job.keep_history("delivery_waited_for_its_turn")


async def test_an_attempt_that_is_recorded_is_not_sent_again(site: Site) -> None:
    """Temporal repeats an activity whose answer was lost."""
    job = await site.deliver([_FAILURE], _NEVER)
    await job.has_attempts(1)
    repeated = await site.activities.send_webhook(SendRequest(job.input.delivery_id, 1, 7.0))
    assert repeated == SendReport(DeliveryStatus.PENDING, 7.0)
    assert len(site.sender.sent) == 1
    await site.endpoints.delete_endpoint(job.input.tenant_id, job.endpoint.id, 10, by=SYSTEM)
    await site.workflows.wake_delivery(job.input.workflow_id)
    await job.handle.result()


async def test_a_workflow_that_is_over_or_unknown_is_not_open(site: Site) -> None:
    job = await site.deliver([SUCCESS], _QUICK)
    await job.handle.result()
    await site.workflows.wake_delivery(job.input.workflow_id)
    assert not await site.workflows.is_delivery_open(job.input.workflow_id)
    assert not await site.workflows.is_delivery_open("msg_unknown")


async def test_no_address_and_no_secret_is_in_a_history(site: Site) -> None:
    job = await site.deliver([_FAILURE, SUCCESS], _QUICK)
    await job.handle.result()
    history = await job.handle.fetch_history()
    payloads = b"".join(bytes(event.SerializeToString()) for event in history.events)
    assert b"secret-path" not in payloads
    assert b"whsec" not in payloads
    assert b"send_webhook" in payloads
