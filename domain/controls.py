"""What a client says of one job beside what to make: how long it may take, what is kept, who is told."""

from dataclasses import dataclass
from enum import IntEnum


class Priority(IntEnum):
    """Which of its own jobs a tenant wants first. Other tenants' turns do not change by it."""

    LOW = -1
    NORMAL = 0
    HIGH = 1


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
