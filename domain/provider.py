"""What passes between a generation and the provider that makes its images. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from domain.errors import describe
from domain.generation import GenerationRequest, Outcome, Undelivered
from domain.moderation import ModeratedAt


class Verdict(StrEnum):
    """A provider's word on a job. `CHECK` is no verdict: it means "ask the provider now"."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CHECK = "check"


@dataclass(frozen=True)
class AttemptRef:
    """One try at one provider. `ordinal` is ours and counts from 1; it is not Temporal's attempt."""

    generation_id: str
    ordinal: int = 1


@dataclass(frozen=True)
class InputImage:
    """One of the client's images, checked and at hand as a local file, for as long as the submit lasts."""

    path: Path
    content_type: str
    width: int
    height: int


@dataclass(frozen=True)
class Submission:
    """What an adapter needs to submit: the request, its images, and where the provider may call back.

    webhook_url: empty if no webhook is wanted. images: in the client's order. mask: what of the first image
    is to be painted anew, as its alpha.
    """

    attempt: AttemptRef
    request: GenerationRequest
    webhook_url: str
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None


@dataclass(frozen=True)
class ProviderJob:
    """A provider's handle on work we asked it to do. `urls` are the provider's own, by purpose.

    cost: where the provider tells it when it takes the job.
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
    """What a provider says an attempt cost, in its own measure: `billable_unit`, `bfl_credit`, `token`, …"""

    amount: Decimal
    unit: str


@dataclass(frozen=True)
class ProviderResult:
    """A provider's answer about a job.

    Attributes:
        verdict: What it says.
        code: For FAILED, a code of domain/errors.py.
        files: For SUCCEEDED, the images in the provider's order, without those of `undelivered`.
        undelivered: Images that were asked for and will not come. Together with the files they are
            numbered from 0: the file indexes are those that no undelivered image has.
        moderated_at: For `content_rejected`, whether the request or the image was refused.
        is_free: For FAILED, whether the provider says in its terms that it does not charge for this.
        provider_message: The provider's own words, kept in PostgreSQL only.
        cost: Where the provider tells it.
        retry_after_seconds: For RUNNING, when to ask again at the earliest.
        unknown_status: For RUNNING, a status word of the provider that we do not know. It is counted.
    """

    verdict: Verdict
    code: str | None = None
    files: tuple[ResultFile, ...] = ()
    undelivered: tuple[Undelivered, ...] = ()
    moderated_at: ModeratedAt | None = None
    is_free: bool = False
    provider_message: str | None = None
    cost: ProviderCost | None = None
    retry_after_seconds: float | None = None
    unknown_status: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a synchronous provider answered at once.

    job_id: The provider's id of the call, for its support. files: local, one per image of the result, whose
    own `files` are empty.
    """

    job_id: str
    result: ProviderResult
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ProviderEvent:
    """One authentic webhook: its identity at the provider, the job it is about, and what it says."""

    event_id: str
    job_id: str
    result: ProviderResult


@dataclass(frozen=True)
class ResultSignal:
    """The signal a webhook becomes. No URL, no words of the provider: those wait in the inbox."""

    inbox_id: int
    ordinal: int
    verdict: str
    code: str | None = None
    moderated_at: ModeratedAt | None = None
    is_free: bool = False

    @classmethod
    def read(cls, arguments: tuple[object, ...]) -> "ResultSignal | None":
        """The signal in whatever a handler was given; None for any other shape. Never raises."""
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
class PollAnswer:
    """What `fetch_result` returns: a verdict without any of the provider's payload."""

    verdict: Verdict
    code: str | None = None
    retry_after_seconds: float | None = None
    moderated_at: ModeratedAt | None = None
    is_free: bool = False

    @classmethod
    def of(cls, result: ProviderResult) -> "PollAnswer":
        return cls(
            result.verdict, result.code, result.retry_after_seconds, result.moderated_at, result.is_free
        )


class SubmitState(StrEnum):
    """How a submit ended, as a value."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    CANCELED = "canceled"
    ALREADY_TERMINAL = "already_terminal"


@dataclass(frozen=True)
class SubmitAnswer:
    """What `submit_job` returns. `outcome` only with ALREADY_TERMINAL, `code` only with REJECTED.

    verdict: With ACCEPTED, where the provider has already told the end: synchronous ones do.
    """

    state: SubmitState
    job_id: str | None = None
    code: str | None = None
    outcome: Outcome | None = None
    moderated_at: ModeratedAt | None = None
    verdict: PollAnswer | None = None


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
class StoreAnswer:
    """What `store_assets` returns. `outcome` only with ALREADY_TERMINAL."""

    state: StoreState
    images: int = 0
    outcome: Outcome | None = None
