"""What passes between a generation and the provider that makes its images. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import describe
from domain.generation import GenerationRequest, Outcome


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
class Submission:
    """What an adapter needs to submit: the request and where the provider may call back."""

    attempt: AttemptRef
    request: GenerationRequest
    webhook_url: str


@dataclass(frozen=True)
class ProviderJob:
    """A provider's handle on work we asked it to do. `urls` are the provider's own, by purpose."""

    job_id: str
    urls: Mapping[str, str]


@dataclass(frozen=True)
class ResultFile:
    """One image as the provider offers it. The URL is a bearer secret and may die soon."""

    url: str


@dataclass(frozen=True)
class ProviderResult:
    """A provider's answer about a job.

    Attributes:
        verdict: What it says.
        code: For FAILED, a code of domain/errors.py.
        files: For SUCCEEDED, the images in the provider's order; never empty.
        provider_message: The provider's own words, kept in PostgreSQL only.
        billable_units: The provider's measure of cost, where it tells one.
        retry_after_seconds: For RUNNING, when to ask again at the earliest.
    """

    verdict: Verdict
    code: str | None = None
    files: tuple[ResultFile, ...] = ()
    provider_message: str | None = None
    billable_units: str | None = None
    retry_after_seconds: float | None = None


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

    @classmethod
    def read(cls, arguments: tuple[object, ...]) -> "ResultSignal | None":
        """The signal in whatever a handler was given; None for any other shape. Never raises."""
        match arguments:
            case ({"inbox_id": int(inbox_id), "ordinal": int(ordinal), "verdict": str(verdict), **rest},):
                code = rest.get("code")
                return cls(inbox_id, ordinal, verdict, describe(code).code if isinstance(code, str) else None)
            case _:
                return None


class SubmitState(StrEnum):
    """How a submit ended, as a value."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    CANCELED = "canceled"
    ALREADY_TERMINAL = "already_terminal"


@dataclass(frozen=True)
class SubmitAnswer:
    """What `submit_job` returns. `outcome` only with ALREADY_TERMINAL, `code` only with REJECTED."""

    state: SubmitState
    job_id: str | None = None
    code: str | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class PollAnswer:
    """What `fetch_result` returns: a verdict without any of the provider's payload."""

    verdict: Verdict
    code: str | None = None
    retry_after_seconds: float | None = None


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
