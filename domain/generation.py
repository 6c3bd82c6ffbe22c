"""What a generation is on its way from a request to an ending. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.errors import describe
from domain.moderation import ModeratedAt


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


class Stage(StrEnum):
    """Where inside its status a generation stands."""

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
        return _STATUS_OF[self]


_STATUS_OF = {
    Stage.CREATED: Status.CREATED,
    Stage.RESERVING: Status.QUEUED,
    Stage.THROTTLED: Status.QUEUED,
    Stage.SUBMITTING: Status.PROCESSING,
    Stage.SUBMIT_UNKNOWN: Status.PROCESSING,
    Stage.GENERATING: Status.PROCESSING,
    Stage.STORING: Status.PROCESSING,
    Stage.SETTLING: Status.PROCESSING,
    Stage.COMPLETED: Status.COMPLETED,
    Stage.FAILED: Status.FAILED,
    Stage.CANCELED: Status.CANCELED,
}


@dataclass(frozen=True)
class Waits:
    """How long a workflow waits for what. Part of its input, so a replay sees the same numbers.

    Attributes:
        first_poll_seconds: From the submit to the first poll.
        poll_factor: Each pause is this many times the one before, 1 or more.
        longest_poll_seconds: The pause grows no further.
        poll_jitter: Up to this share is added to a pause, from 0 to 1.
        deadline_seconds: From the end of the submit to giving up.
        queue_timeout_seconds: How long a submit may stand in line before it begins.
        submit_timeout_seconds: How long one submit may take; minutes where the provider answers with the
            image itself.
    """

    first_poll_seconds: float
    poll_factor: float
    longest_poll_seconds: float
    poll_jitter: float
    deadline_seconds: float
    queue_timeout_seconds: float
    submit_timeout_seconds: float = 60.0


@dataclass(frozen=True)
class Fallback:
    """Where a generation may go if its first provider does not take it or fails it for free."""

    model: str
    provider: str
    waits: Waits


@dataclass(frozen=True)
class GenerationInput:
    """A workflow's input: who it is for and how long to wait. Everything else is in the row.

    checks_input: Whether our own moderation looks at the request before any credits are held.
    """

    generation_id: str
    tenant_id: str
    model: str
    provider: str
    waits: Waits
    fallback: Fallback | None = None
    checks_input: bool = False


@dataclass(frozen=True)
class GenerationRequest:
    """A validated request, as it is stored and as a provider gets it.

    Attributes:
        model: An id of the catalogue.
        endpoint: The provider's own name for the model.
        parameters: What the model takes beside the prompt: n, size, seed, output_format, …
        n: Images asked for, 1 or more.
        price_credits: Whole credits for all images; fixed for the life of the generation.
        inputs: Ids of the client's stored images, in order.
        mask: Id of the stored image whose alpha says what of the first input to paint anew.
        charges_rejected: Whether what moderation refuses is charged nevertheless.
        fallback: The same request as another model takes it; its price is never looked at.
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
    charges_rejected: bool = False
    fallback: "GenerationRequest | None" = None


@dataclass(frozen=True)
class Problem:
    """Why a generation failed: a code from domain/errors.py and where.

    stage: The stage it happened in; for content that was refused, whether input or output was.
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
class Ending:
    """How a generation is to end when it is not settled.

    Attributes:
        code: For FAILED, a code of domain/errors.py.
        attention: Why an operator should look at it, as a code; None if there is no need.
        unless_submitted: Leave everything as it is if a submit has begun.
        moderated_at: For content that was refused: the request's or the image's.
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
    """One stored image. `sha256` is hex; `index` counts from 0 in the provider's order."""

    index: int
    key: str
    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Undelivered:
    """An image that was asked for and did not come: `content_rejected` or `not_delivered`."""

    index: int
    code: str


@dataclass(frozen=True)
class Generation:
    """A generation as the database knows it."""

    id: str
    tenant_id: str
    request: GenerationRequest
    status: Status
    stage: Stage
    problem: Problem | None
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

    @property
    def outcome(self) -> Outcome:
        """The stored ending; only of a terminal generation."""
        assert self.status.is_terminal
        code = self.problem.code if self.problem else None
        return Outcome(self.id, self.status, code, self.charged_credits, len(self.images))
