"""What a client says of one job beside what to make: how long it may take, what is kept, who is told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum


class Priority(IntEnum):
    """Which of its own jobs a tenant wants first. Other tenants' turns do not change by it."""

    LOW = -1
    NORMAL = 0
    HIGH = 1


class CanceledBy(StrEnum):
    """Who stopped a generation. DEADLINE: the time that its client had set for it was over."""

    CLIENT = "client"
    DEADLINE = "deadline"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Controls:
    """A client's wishes for one generation; each is optional.

    Attributes:
        cancel_after_seconds: From `created_at` until the job is canceled, unless its images are being stored.
        start_within_seconds: From `created_at` until a provider must have taken it, or it fails for free.
        image_lifetime_seconds: From the end until its images are erased; None leaves it to the retention.
        keeps_prompt: Whether the prompt is kept once the job has ended.
        webhook_url: Whom to tell of it, besides the tenant's endpoints.
        webhook_events: Which types of events `webhook_url` gets; empty for those that end the job.
        retry_of: The id of the generation that this one repeats.
        api_key_id: The key that created it; None in rows from before that was recorded.
    """

    cancel_after_seconds: int | None = None
    start_within_seconds: int | None = None
    image_lifetime_seconds: int | None = None
    keeps_prompt: bool = True
    priority: Priority = Priority.NORMAL
    webhook_url: str | None = None
    webhook_events: tuple[str, ...] = ()
    retry_of: str | None = None
    api_key_id: str | None = None

    def cancel_at(self, created_at: datetime) -> datetime | None:
        """Return when the job is canceled, if it has not ended and its images are not being stored."""
        return _after(created_at, self.cancel_after_seconds)

    def start_by(self, created_at: datetime) -> datetime | None:
        """Return until when a provider must have taken the job."""
        return _after(created_at, self.start_within_seconds)


def _after(moment: datetime, seconds: int | None) -> datetime | None:
    return moment + timedelta(seconds=seconds) if seconds is not None else None
