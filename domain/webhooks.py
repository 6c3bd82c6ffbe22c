"""Webhooks to clients: where they go, what is delivered, how each delivery ends. Pure data.

Scheme: Standard Webhooks 1.0.0, https://github.com/standard-webhooks/standard-webhooks (read 2026-11-26).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.events import EventType

# From one attempt to the next, as the specification publishes them; up to a tenth is added to each.
DEFAULT_SCHEDULE_SECONDS = (
    0.0, 5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0
)  # fmt: skip
SECRET_OVERLAP = timedelta(hours=24)
PING_TYPE = "webhook_endpoint.ping"
MAX_EXCERPT_CHARACTERS = 200
_SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
_HINT_CHARACTERS = 4
_OUR_OWN_PREFIX = "delivery."

SUBSCRIBABLE_TYPES = tuple(type for type in EventType if not type.startswith(_OUR_OWN_PREFIX))


class DeliveryStatus(StrEnum):
    """How far a delivery has come.

    `exhausted`: every attempt of the schedule failed. `failed`: it cannot be repeated, as the endpoint is
    gone. `canceled`: its endpoint was deleted or disabled first.
    """

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"


class DeliveryError(StrEnum):
    """Why an attempt failed."""

    STATUS = "http_status"
    REDIRECT = "redirect"
    GONE = "gone"
    TIMEOUT = "timeout"
    NOT_CONNECTED = "not_connected"
    TLS = "tls"
    BROKEN = "connection_broken"
    ADDRESS_REFUSED = "address_refused"
    URL_REFUSED = "url_refused"


class DisabledReason(StrEnum):
    """Why an endpoint gets nothing: its client said so, it responded 410, or it failed for days."""

    CLIENT = "client"
    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True)
class WebhookEndpoint:
    """Where a tenant's events go.

    Attributes:
        url: None for the one that has the secret of all addresses that single jobs name.
        event_types: Empty for those that end a generation.
        secret_hint: The last characters of its secret.
        previous_until: Until when the secret before signs too.
        failing_since: The first failure after the last success.
    """

    id: str
    tenant_id: str
    url: str | None
    description: str
    event_types: tuple[str, ...]
    secret_hint: str
    secret_created_at: datetime
    previous_until: datetime | None
    is_enabled: bool
    disabled_reason: DisabledReason | None
    failing_since: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class DeliveryAttempt:
    """One request to an endpoint. excerpt: the printable beginning of the response."""

    number: int
    at: datetime
    response_status: int | None
    duration_ms: int
    error_code: str | None
    excerpt: str


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one endpoint. Its id is the `webhook-id` of every attempt.

    Attributes:
        number: Which of its generation's events it is; None for what belongs to the tenant only.
        event_id: None for a ping.
        occurred_at: When the event was written.
        url: Where one of a single job goes.
        next_attempt_at: None before the first attempt, and after the last.
    """

    id: str
    tenant_id: str
    endpoint_id: str
    event_id: int | None
    generation_id: str | None
    number: int | None
    type: str
    data: Mapping[str, Any]
    url: str | None
    status: DeliveryStatus
    attempts: int
    occurred_at: datetime
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class DeliveryToSend:
    """A delivery with all that an attempt needs. secrets: the current one first; each of them signs."""

    delivery: Delivery
    url: str
    secrets: Sequence[bytes] = field(repr=False)
    is_endpoint_open: bool = True


@dataclass(frozen=True)
class WebhookResponse:
    """What came of one request.

    error_code: None only for a 2xx. retry_after_seconds: what the receiver asked for.
    """

    status: int | None
    error_code: DeliveryError | None
    duration_ms: int
    retry_after_seconds: float | None = None
    excerpt: str = ""


@dataclass(frozen=True)
class DeliveryInput:
    """A delivery workflow's input. Nothing of it is secret.

    Attributes:
        run: 1, and one more for each time it was sent again after its end.
        first_number: The number of this run's first attempt.
        schedule_seconds: The pause before each attempt; as many attempts as pauses.
    """

    delivery_id: str
    tenant_id: str
    endpoint_id: str
    type: str
    run: int = 1
    first_number: int = 1
    schedule_seconds: tuple[float, ...] = DEFAULT_SCHEDULE_SECONDS

    @property
    def workflow_id(self) -> str:
        return workflow_id_of(self.delivery_id, self.run)


@dataclass(frozen=True)
class SendRequest:
    """One attempt. next_wait_seconds: until the next if this one fails; None if it is the last."""

    delivery_id: str
    number: int
    next_wait_seconds: float | None


@dataclass(frozen=True)
class SendReport:
    """What an attempt did.

    is_busy: Nothing was sent, because its endpoint has as many attempts under way as it may.
    """

    status: DeliveryStatus
    wait_seconds: float = 0.0
    is_busy: bool = False
    response_status: int | None = None
    error_code: str | None = None


def workflow_id_of(delivery_id: str, run: int) -> str:
    """Return the id of a delivery's workflow: its own, and from the second run on another for each."""
    return delivery_id if run == 1 else f"{delivery_id}-{run}"


def show_secret(secret: bytes) -> str:
    """Return a secret as receivers are given it."""
    return _SECRET_PREFIX + base64.b64encode(secret).decode()


def secret_hint(secret: bytes) -> str:
    """Return what tells a secret from others without giving it away."""
    return show_secret(secret).rstrip("=")[-_HINT_CHARACTERS:]


def signed_headers(
    secrets: Sequence[bytes], delivery_id: str, timestamp: int, body: bytes
) -> Mapping[str, str]:
    """Return the three headers by which a receiver verifies a webhook: one signature for each secret."""
    signed = b".".join((delivery_id.encode(), str(timestamp).encode(), body))
    signatures = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)) for secret in secrets)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature.decode()}" for signature in signatures),
    }
