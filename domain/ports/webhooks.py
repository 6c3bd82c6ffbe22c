"""Webhooks to clients: endpoints, deliveries, and what sends them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.audit import Actor
from domain.webhooks import (
    Delivery,
    DeliveryAttempt,
    DeliveryInput,
    DeliveryStatus,
    DeliveryToSend,
    WebhookEndpoint,
    WebhookResponse,
)


@dataclass(frozen=True)
class Page:
    """Where a list of deliveries continues: those made before this moment, or then with a smaller id."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class Dispatched:
    """What one look at the log did.

    is_waited_for: Whether any endpoint is there to get what comes next.
    """

    events: int
    deliveries: int
    is_waited_for: bool


@dataclass(frozen=True)
class AttemptRecord:
    """An attempt to record.

    next_wait_seconds: Until the next one; None after the last.
    """

    delivery_id: str
    number: int
    status: DeliveryStatus
    response: WebhookResponse
    next_wait_seconds: float | None


@dataclass(frozen=True)
class Resent:
    """Deliveries that were made to go again.

    started: How many. is_complete: False if there is more of it to do by the same call.
    """

    started: int
    is_complete: bool


class WebhookEndpoints(Protocol):
    """The endpoints of tenants; every change is in the audit trail.

    Every method is for the tenant's own; WebhookEndpointNotFound for others.
    """

    async def add_endpoint(
        self,
        tenant_id: str,
        url: str,
        description: str,
        event_types: Sequence[str],
        *,
        max_endpoints: int,
        by: Actor,
    ) -> tuple[WebhookEndpoint, bytes]:
        """Return it with its secret. Raises TooManyWebhookEndpoints."""
        ...

    async def get_endpoint(self, tenant_id: str, endpoint_id: str) -> WebhookEndpoint: ...

    async def list_endpoints(self, tenant_id: str, limit: int) -> Sequence[WebhookEndpoint]:
        """Return those that are not deleted, the oldest first."""
        ...

    async def change_endpoint(
        self, tenant_id: str, endpoint_id: str, changes: Mapping[str, object], *, by: Actor
    ) -> WebhookEndpoint:
        """Set some of `url`, `description`, `event_types` and `is_enabled`."""
        ...

    async def delete_endpoint(
        self, tenant_id: str, endpoint_id: str, limit: int, *, by: Actor
    ) -> Collection[str]:
        """Cancel its deliveries; return the workflows of some that wait."""
        ...

    async def rotate_secret(
        self, tenant_id: str, endpoint_id: str, *, by: Actor
    ) -> tuple[WebhookEndpoint, bytes]:
        """Return it with a new secret. The one before signs too, for a day."""
        ...

    async def find_job_endpoint(self, tenant_id: str) -> WebhookEndpoint | None:
        """Return what signs the webhooks of single jobs; None before its first secret."""
        ...

    async def rotate_job_secret(self, tenant_id: str, *, by: Actor) -> tuple[WebhookEndpoint, bytes]:
        """Return it with a new secret; the first one makes it."""
        ...


class Deliveries(Protocol):
    """Deliveries, as the process that sends them needs them."""

    async def dispatch(self, limit: int) -> Dispatched:
        """Make the deliveries of the next events of the log. Only one process does so at a time."""
        ...

    async def list_unstarted(self, limit: int) -> Sequence[DeliveryInput]:
        """Return those without a workflow, the oldest first."""
        ...

    async def mark_started(self, started: Sequence[DeliveryInput]) -> None: ...

    async def list_overdue(self, age: timedelta, limit: int) -> Sequence[DeliveryInput]:
        """Return those whose next attempt should have been made before so much time."""
        ...

    async def restart(self, delivery_id: str, run: int) -> None:
        """Have a workflow started for a delivery whose run is lost, unless that was done already."""
        ...

    async def note_waiting(self, delivery_id: str, run: int) -> None:
        """Note that the workflow of an overdue delivery waits: it is due from now on."""
        ...

    async def purge_ended(self, age: timedelta, limit: int) -> int:
        """Delete those that ended so long ago; return how many."""
        ...

    async def load_delivery(self, delivery_id: str) -> DeliveryToSend | None:
        """Return a delivery with the address and the secrets of now; None for one that is gone."""
        ...

    async def record_attempt(self, attempt: AttemptRecord, disable_after: timedelta) -> DeliveryStatus:
        """Record an attempt, once; return the delivery's status.

        The endpoint is disabled after a 410, or when it only failed for so long.
        """
        ...

    async def cancel_delivery(self, delivery_id: str) -> None:
        """End one whose endpoint is not there to get it."""
        ...


class DeliveryLog(Protocol):
    """Deliveries, as their tenant sees them. DeliveryNotFound for those of others."""

    async def list_deliveries(
        self,
        endpoint: WebhookEndpoint,
        *,
        status: DeliveryStatus | None,
        generation_id: str | None,
        after: Page | None,
        limit: int,
    ) -> Sequence[Delivery]:
        """Return those of an endpoint, the newest first."""
        ...

    async def get_delivery_of(
        self, tenant_id: str, delivery_id: str
    ) -> tuple[Delivery, Sequence[DeliveryAttempt]]: ...

    async def add_ping(self, endpoint: WebhookEndpoint) -> Delivery: ...

    async def resend_delivery(self, tenant_id: str, delivery_id: str) -> tuple[Delivery, str | None]:
        """Have it sent again now; return it, and the workflow to wake if it is still under way.

        Raises WebhookEndpointDisabled.
        """
        ...

    async def resend_since(self, endpoint: WebhookEndpoint, since: datetime, limit: int) -> Resent:
        """Send what an endpoint missed: events that made no delivery, and deliveries that did not succeed.

        Safe to repeat. Raises WebhookEndpointDisabled.
        """
        ...


class DeliveryWorkflows(Protocol):
    """The workflows of deliveries. Raises TemporalUnavailable."""

    async def start_delivery(self, delivery: DeliveryInput) -> None:
        """Start its workflow, once."""
        ...

    async def is_delivery_open(self, workflow_id: str) -> bool: ...

    async def wake_delivery(self, workflow_id: str) -> None:
        """Let it look again now instead of when its next attempt is due."""
        ...


class WebhookSender(Protocol):
    """Sends one webhook to an address of a stranger."""

    async def send_webhook(
        self, url: str, headers: Mapping[str, str], body: bytes, *, tenant_id: str
    ) -> WebhookResponse:
        """Raises nothing that the receiver can cause."""
        ...
