"""What passes between a generation and the provider that makes its images. Pure data.

Fields named `verdict` and `is_free` travel through Temporal: stored histories know them by these names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from domain.errors import describe
from domain.generation import GenerationRequest, Outcome, Undelivered
from domain.moderation import ModeratedAt
from domain.progress import ProviderProgress


class JobStatus(StrEnum):
    """What a provider reports of a job. `CHECK` reports nothing: it means "poll the provider now"."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CHECK = "check"

    @property
    def is_final(self) -> bool:
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED)


@dataclass(frozen=True)
class AttemptRef:
    """One submission to one provider. `ordinal` counts from 1 and is not Temporal's attempt number."""

    generation_id: str
    ordinal: int = 1


@dataclass(frozen=True)
class LocalInputFile:
    """An input file as a local copy that exists as long as the submit runs."""

    path: Path
    content_type: str
    width: int
    height: int


# Given the index of a partial image and its file, while a synchronous provider works; returns at once.
OnPartialImage = Callable[[int, Path], None]


@dataclass(frozen=True)
class Submission:
    """What an adapter needs to submit: the request, its images, and where the provider may call back.

    webhook_url: empty if no webhook is wanted. images: in the client's order. mask: what of the first image
    is to be repainted, as its alpha. on_partial_image: what partial images are given to, if they are wanted.
    """

    attempt: AttemptRef
    request: GenerationRequest
    webhook_url: str
    images: tuple[LocalInputFile, ...] = ()
    mask: LocalInputFile | None = None
    on_partial_image: OnPartialImage | None = None


@dataclass(frozen=True)
class ProviderJob:
    """A provider's handle on a job. `urls` are the provider's own, by purpose.

    cost: set where the provider states it when it accepts the job.
    """

    job_id: str
    urls: Mapping[str, str]
    cost: "ProviderCost | None" = None


@dataclass(frozen=True)
class ResultFile:
    """One image as the provider offers it. The URL is a bearer secret and may die soon."""

    url: str


@dataclass(frozen=True)
class ProviderCost:
    """What a provider says an attempt cost, in its own unit: `billable_unit`, `bfl_credit`, `token`, …"""

    amount: Decimal
    unit: str


@dataclass(frozen=True)
class ProviderResult:
    """A provider's report on a job.

    Attributes:
        status: Where the job stands.
        code: For FAILED, a code of domain/errors.py.
        files: For SUCCEEDED, the images in the provider's order, without those of `undelivered`.
        undelivered: Requested images that will not come. Files and undelivered images share one numbering
            from 0: files have the indexes that no undelivered image has.
        moderated_at: For `content_rejected`, whether the request or the image was refused.
        does_not_charge: For FAILED, whether the provider's terms say that it does not bill this.
        provider_message: The provider's own text, stored in PostgreSQL only.
        cost: Set where the provider states it.
        retry_after_seconds: For RUNNING, the shortest pause before the next poll.
        unknown_status: For RUNNING, a status word of the provider that the adapter does not know.
        is_tentative: For FAILED, whether the provider may say otherwise in a moment, such as after a 404 on a
            job, or a success that has no output yet. It is believed only after a while.
        progress: For RUNNING, how far the job is, where the provider says it.
    """

    status: JobStatus
    code: str | None = None
    files: tuple[ResultFile, ...] = ()
    undelivered: tuple[Undelivered, ...] = ()
    moderated_at: ModeratedAt | None = None
    does_not_charge: bool = False
    provider_message: str | None = None
    cost: ProviderCost | None = None
    retry_after_seconds: float | None = None
    unknown_status: str | None = None
    is_tentative: bool = False
    progress: ProviderProgress | None = None


@dataclass(frozen=True)
class SyncResult:
    """The response of a synchronous provider: the images themselves.

    job_id: The provider's id of the call, for support requests. files: local files, one per image;
    `result.files` is empty.
    """

    job_id: str
    result: ProviderResult
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ProviderEvent:
    """One authentic webhook: its event id, the job it is about, and what it reports."""

    event_id: str
    job_id: str
    result: ProviderResult


@dataclass(frozen=True)
class ResultSignal:
    """The signal that a webhook becomes. URLs and the provider's message stay in the inbox table."""

    inbox_id: int
    ordinal: int
    verdict: str
    code: str | None = None
    moderated_at: ModeratedAt | None = None
    is_free: bool = False

    @classmethod
    def parse(cls, arguments: tuple[object, ...]) -> "ResultSignal | None":
        """Parse the arguments of a signal handler; None for any other shape. Never raises."""
        match arguments:
            case ({"inbox_id": int(inbox_id), "ordinal": int(ordinal), "verdict": str(verdict), **rest},):
                code, moderated_at = rest.get("code"), rest.get("moderated_at")
                return cls(
                    inbox_id,
                    ordinal,
                    verdict,
                    describe(code).code if isinstance(code, str) else None,
                    ModeratedAt(str(moderated_at)) if moderated_at in list(ModeratedAt) else None,
                    rest.get("is_free") is True,
                )
            case _:
                return None


@dataclass(frozen=True)
class PollResult:
    """What `fetch_result` returns: the job's status without the provider's payload.

    job_id: Set if this poll found the job of a submit whose end was unknown.
    """

    verdict: JobStatus
    code: str | None = None
    retry_after_seconds: float | None = None
    moderated_at: ModeratedAt | None = None
    is_free: bool = False
    job_id: str | None = None

    @classmethod
    def of(cls, result: ProviderResult) -> "PollResult":
        return cls(
            result.status,
            result.code,
            result.retry_after_seconds,
            result.moderated_at,
            result.does_not_charge,
        )


@dataclass(frozen=True)
class SubmitRequest:
    """What `submit_job` is given; older workflows give an AttemptRef, which has the same fields.

    gives_back_slot: Whether the workflow waits in the queue if the provider asks it to come back later.
        Without it the activity fails, and Temporal retries it while the attempt keeps its slot.
    """

    generation_id: str
    ordinal: int = 1
    gives_back_slot: bool = False

    @property
    def attempt(self) -> AttemptRef:
        return AttemptRef(self.generation_id, self.ordinal)


@dataclass(frozen=True)
class Pushback:
    """A provider took nothing and asks the attempt to come back later.

    Attributes:
        code: `provider_throttled` or `provider_unavailable`.
        stated_seconds: How long the provider asks to wait; None if it does not say.
        is_account_wide: Whether its limit is known to hold for all models of the account.
        by_closure: Whether it was not asked at all, because it is closed.
    """

    code: str
    stated_seconds: float | None = None
    is_account_wide: bool = False
    by_closure: bool = False


class SubmitState(StrEnum):
    """How a submit ended, as a value. PUSHED_BACK: the slot was given back, nothing was taken."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PUSHED_BACK = "pushed_back"
    UNKNOWN = "unknown"
    CANCELED = "canceled"
    ALREADY_TERMINAL = "already_terminal"


@dataclass(frozen=True)
class SubmitResult:
    """What `submit_job` returns. `outcome` only with ALREADY_TERMINAL, `code` with REJECTED and PUSHED_BACK.

    verdict: With ACCEPTED, set if the provider has already reported the end, as synchronous ones do.
    retry_after_seconds: With PUSHED_BACK, when to ask for a slot again. closed: whether the provider, or this
        model there, is closed to everybody.
    """

    state: SubmitState
    job_id: str | None = None
    code: str | None = None
    outcome: Outcome | None = None
    moderated_at: ModeratedAt | None = None
    verdict: PollResult | None = None
    retry_after_seconds: float | None = None
    closed: bool = False


@dataclass(frozen=True)
class StoreRequest:
    """What `store_assets` is given. `inbox_id` names the webhook that brought the result, if one did."""

    attempt: AttemptRef
    inbox_id: int | None = None


class StoreState(StrEnum):
    """How storing ended, as a value."""

    STORED = "stored"
    CANCELED = "canceled"
    ALREADY_TERMINAL = "already_terminal"


@dataclass(frozen=True)
class StoreResult:
    """What `store_assets` returns. outcome: None only if an earlier version had recorded the images."""

    state: StoreState
    images: int = 0
    outcome: Outcome | None = None
