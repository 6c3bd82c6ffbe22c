"""How far a job is: what its provider says of it, and how long its stage usually takes. Pure data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.generation import Stage


@dataclass(frozen=True)
class ProviderProgress:
    """What a provider says of a job that has not ended; it need not say anything.

    Attributes:
        is_queued: Whether the job waits for its turn at the provider.
        queue_position: How many come first there.
        percent: From 0 to 100, and only where the provider states it.
        logs: Its last lines. They may repeat the prompt, so they are stored in PostgreSQL only.
    """

    is_queued: bool = False
    queue_position: int | None = None
    percent: float | None = None
    logs: tuple[str, ...] = ()


class PollStatus(StrEnum):
    """What a poll found that did not end its job. UNAVAILABLE: the provider did not say."""

    QUEUED = "queued"
    RUNNING = "running"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class PollReport:
    """A poll that did not end its job.

    Attributes:
        code: Why the provider did not say, or the failure that it reports and that is not believed yet.
        progress: None leaves what it said before.
    """

    status: PollStatus
    code: str | None = None
    progress: ProviderProgress | None = None

    @classmethod
    def of(cls, progress: ProviderProgress | None, code: str | None = None) -> "PollReport":
        """Return the report of a poll that the provider responded to."""
        said = progress or ProviderProgress()
        return cls(PollStatus.QUEUED if said.is_queued else PollStatus.RUNNING, code, said)


@dataclass(frozen=True)
class StageProgress:
    """Where an open generation stands.

    Attributes:
        elapsed_seconds: How long it has been at its stage.
        provider: What the provider of its last attempt said last, if it was polled.
        said_at: When it said so.
    """

    stage: Stage
    elapsed_seconds: float
    provider: ProviderProgress | None = None
    said_at: datetime | None = None


@dataclass(frozen=True)
class TypicalSeconds:
    """How long a stage usually takes. samples: how many were measured; 0 if it is the catalog's estimate."""

    p50: float
    p95: float | None = None
    samples: int = 0
