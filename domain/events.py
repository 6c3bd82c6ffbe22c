"""What happens to generations and to their tenants' credits, as the log and its readers name it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """The types of events. The database writes them: functions/events.sql."""

    GENERATION_CREATED = "generation.created"
    GENERATION_QUEUED = "generation.queued"
    GENERATION_PROCESSING = "generation.processing"
    GENERATION_COMPLETED = "generation.completed"
    GENERATION_FAILED = "generation.failed"
    GENERATION_CANCELED = "generation.canceled"
    GENERATION_STAGE_CHANGED = "generation.stage_changed"
    GENERATION_CANCEL_REQUESTED = "generation.cancel_requested"
    GENERATION_DELETED = "generation.deleted"
    ATTEMPT_STARTED = "attempt.started"
    ATTEMPT_ACCEPTED = "attempt.accepted"
    ATTEMPT_REJECTED = "attempt.rejected"
    ATTEMPT_NOT_SENT = "attempt.not_sent"
    ATTEMPT_UNKNOWN = "attempt.unknown"
    ATTEMPT_SUCCEEDED = "attempt.succeeded"
    ATTEMPT_FAILED = "attempt.failed"
    ATTEMPT_LATE_RESULT = "attempt.late_result"
    ATTEMPT_POLLED = "attempt.polled"
    ATTEMPT_WEBHOOK_RECEIVED = "attempt.webhook_received"
    SLOT_GRANTED = "slot.granted"
    IMAGE_PARTIAL = "image.partial"
    IMAGES_STORED = "images.stored"
    CREDITS_HELD = "credits.held"
    CREDITS_SETTLED = "credits.settled"
    CREDITS_REFUNDED = "credits.refunded"
    CREDITS_EXPIRED = "credits.expired"
    CREDITS_GRANTED = "credits.granted"
    CREDITS_WITHDRAWN = "credits.withdrawn"
    CREDITS_LOT_EXPIRED = "credits.lot_expired"
    CREDITS_LOT_VOIDED = "credits.lot_voided"
    CREDITS_TAKEN_BACK = "credits.taken_back"
    CREDITS_REPAID = "credits.repaid"
    CREDITS_LOW = "credits.low"
    DELIVERY_SUCCEEDED = "delivery.succeeded"
    DELIVERY_FAILED = "delivery.failed"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELED = "batch.canceled"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"

    @property
    def ends_generation(self) -> bool:
        return self in TERMINAL_TYPES


TERMINAL_TYPES = (
    EventType.GENERATION_COMPLETED,
    EventType.GENERATION_FAILED,
    EventType.GENERATION_CANCELED,
)


@dataclass(frozen=True, order=True)
class EventPosition:
    """Where an event stands in the log of all tenants: in the order that transactions were begun in.

    A reader that stays below the oldest open transaction finds every event, once, in this order.
    """

    transaction_id: int
    id: int


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        number: Which of its generation's events it is, from 1; None for what belongs to the tenant only.
        data: What changed. No prompt, no address of a result, no words of a provider.
    """

    position: EventPosition
    tenant_id: str
    generation_id: str | None
    number: int | None
    type: EventType
    data: Mapping[str, Any]
    created_at: datetime
