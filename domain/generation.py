"""A generation from request to terminal state. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.charging import ChargePolicies
from domain.controls import CanceledBy, Controls
from domain.errors import describe
from domain.moderation import ModeratedAt
from domain.route_notes import AttemptSummary, RouteNote


class Status(StrEnum):
    """What a client sees. Its rank never falls, and the last three are final."""

    CREATED = "created"
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELED)

    def advanced_to(self, other: "Status") -> "Status":
        """Return the later of the two: a job that goes back to an earlier stage keeps its status."""
        return max(self, other, key=list(Status).index)


class Stage(StrEnum):
    """The finer step inside a status."""

    CREATED = "created"
    RESERVING = "reserving"
    THROTTLED = "throttled"
    SUBMITTING = "submitting"
    SUBMIT_UNKNOWN = "submit_unknown"
    GENERATING = "generating"
    STORING = "storing"
    SETTLING = "settling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def status(self) -> Status:
        """The status that the stage belongs to, and the least that a job at this stage has."""
        return _STATUS_OF[self]


_STATUS_OF: Mapping[Stage, Status] = {
    Stage.CREATED: Status.CREATED,
    Stage.RESERVING: Status.QUEUED,
    Stage.THROTTLED: Status.QUEUED,
    Stage.SUBMITTING: Status.QUEUED,
    Stage.SUBMIT_UNKNOWN: Status.PROCESSING,
    Stage.GENERATING: Status.PROCESSING,
    Stage.STORING: Status.PROCESSING,
    Stage.SETTLING: Status.PROCESSING,
    Stage.COMPLETED: Status.COMPLETED,
    Stage.FAILED: Status.FAILED,
    Stage.CANCELED: Status.CANCELED,
}


@dataclass(frozen=True)
class TimingPolicy:
    """How long a workflow waits for what. Part of its input, so a replay sees the same numbers.

    Stored histories know the fields by these names: `longest_poll_seconds` is what models.toml calls
    `max_poll_seconds`.

    Attributes:
        first_poll_seconds: From the submit to the first poll.
        poll_factor: Each pause is this many times the one before, 1 or more.
        longest_poll_seconds: The longest pause between polls.
        poll_jitter: Up to this share is added to a pause, from 0 to 1.
        deadline_seconds: From the end of the submit until the workflow gives up.
        queue_timeout_seconds: How long a generation may wait until a provider takes it: from `queued_at`,
            over all its attempts, whatever the providers respond.
        submit_timeout_seconds: How long one submit may take; minutes where the provider responds with the
            image itself.
    """

    first_poll_seconds: float
    poll_factor: float
    longest_poll_seconds: float
    poll_jitter: float
    deadline_seconds: float
    queue_timeout_seconds: float
    submit_timeout_seconds: float = 60.0

    @property
    def total_seconds(self) -> float:
        """How long a job may take in all at one provider, before its result is stored."""
        return self.queue_timeout_seconds + self.submit_timeout_seconds + self.deadline_seconds


@dataclass(frozen=True)
class Fallback:
    """Where a generation may go if its first provider takes nothing, or fails it and does not charge."""

    model: str
    provider: str
    waits: TimingPolicy


@dataclass(frozen=True)
class GenerationInput:
    """A workflow's input: whom it is for and how long to wait. Everything else is in the row.

    checks_input: Whether our own moderation checks the request before any credits are held.
    cancel_at, start_by: What its client set, as ISO 8601: when it is canceled, and until when a provider must
        have taken it.
    """

    generation_id: str
    tenant_id: str
    model: str
    provider: str
    waits: TimingPolicy
    fallback: Fallback | None = None
    checks_input: bool = False
    cancel_at: str | None = None
    start_by: str | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """A validated request, as it is stored and as a provider gets it.

    Attributes:
        model: An id of the catalog.
        endpoint: The provider's own name for the model.
        parameters: What the model takes besides the prompt: n, size, seed, output_format, …
        n: Requested images, 1 or more.
        price_credits: Whole credits for all images; fixed for the life of the generation.
        inputs: Ids of the client's stored images, in order.
        mask: Id of the stored image whose alpha marks what of the first input to repaint.
        charging: What is paid for work that is not delivered.
        fallback: The same request for another model; its price is not used.
        controls: What the client says beside what to make.
        route_notes: What is known of the route that the attempts do not tell.
    """

    model: str
    provider: str
    endpoint: str
    prompt: str
    parameters: Mapping[str, Any]
    n: int
    price_credits: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    mask: str | None = None
    charging: ChargePolicies = field(default_factory=ChargePolicies)
    fallback: "GenerationRequest | None" = None
    controls: Controls = field(default_factory=Controls)
    route_notes: tuple[RouteNote, ...] = ()


@dataclass(frozen=True)
class GenerationError:
    """Why a generation failed: a code of domain/errors.py and where.

    stage: The stage it happened in; for refused content, whether the input or the output was refused.
    """

    code: str
    stage: Stage | ModeratedAt

    @property
    def message(self) -> str:
        return describe(self.code).message

    @property
    def retryable(self) -> bool:
        return describe(self.code).retryable


@dataclass(frozen=True)
class TerminalState:
    """How a generation ends when it is not settled.

    Attributes:
        code: For FAILED, a code of domain/errors.py; for CANCELED, `deadline` if its client's time is over.
        attention: Why an operator should look at it, as a code; None if there is no need.
        unless_submitted: Change nothing if a submit has begun.
        moderated_at: For refused content: whether the request or the image was refused.
    """

    status: Status
    code: str | None = None
    attention: str | None = None
    unless_submitted: bool = False
    moderated_at: ModeratedAt | None = None


@dataclass(frozen=True)
class Outcome:
    """How a generation ended. A refund is an outcome, not a failed workflow."""

    generation_id: str
    status: Status
    code: str | None = None
    charged_credits: int = 0
    images: int = 0


@dataclass(frozen=True)
class Image:
    """One stored image. `sha256` is hex; `index` counts from 0 in the provider's order.

    source_sha256: Of the provider's bytes, which may have had metadata; None if it was stored before that was
    recorded.
    """

    index: int
    key: str
    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str
    source_sha256: str | None = None


@dataclass(frozen=True)
class Undelivered:
    """A requested image that did not come: `content_rejected`, `not_delivered` or `result_unusable`."""

    index: int
    code: str


@dataclass(frozen=True)
class Generation:
    """A generation as the database knows it.

    Attributes:
        deleted_at: When its client deleted it.
        content_erased_at: When prompt, parameters, metadata and inputs went, then or after their time.
        images_erased_at: When its images went. They were delivered all the same, and `images` tells of them.
        images_expire_at: When they will go, if its client has said so.
        canceled_by: Who stopped it, if that is how it ended.
        moved_at: When its stage changed last.
        attempts: None where it was read without them. No part of its row.
        batch_id: The batch that it was made for.
    """

    id: str
    tenant_id: str
    request: GenerationRequest
    status: Status
    stage: Stage
    error: GenerationError | None
    cancel_requested: bool
    needs_attention: str | None
    held_credits: int
    charged_credits: int
    refunded_credits: int
    created_at: datetime
    queued_at: datetime | None
    processing_at: datetime | None
    finished_at: datetime | None
    images: tuple[Image, ...] = ()
    undelivered: tuple[Undelivered, ...] = ()
    deleted_at: datetime | None = None
    content_erased_at: datetime | None = None
    images_erased_at: datetime | None = None
    images_expire_at: datetime | None = None
    canceled_by: CanceledBy | None = None
    moved_at: datetime | None = None
    attempts: tuple[AttemptSummary, ...] | None = field(default=None, compare=False)
    batch_id: str | None = None

    @property
    def is_prompt_erased(self) -> bool:
        is_forgotten = self.status.is_terminal and not self.request.controls.keeps_prompt
        return is_forgotten or self.content_erased_at is not None

    def has_images_at(self, moment: datetime) -> bool:
        """Return whether its images can be had then: not once they were erased, or their time is over."""
        is_in_time = self.images_expire_at is None or moment < self.images_expire_at
        return is_in_time and self.images_erased_at is None

    @property
    def outcome(self) -> Outcome:
        """Return how the generation ended; only for a terminal one."""
        assert self.status.is_terminal
        code = self.error.code if self.error else None
        return Outcome(self.id, self.status, code, self.charged_credits, len(self.images))
