"""Where a generation's workflow stands, for queries and for the Temporal UI. Pure: no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.generation import Stage


@dataclass
class Progress:
    """The result of the status query. Times are ISO 8601 in UTC.

    Attributes:
        attempts: Attempts begun.
        polls: Times the provider was polled.
        pushback_code: Why the provider pushed the attempt back last.
    """

    stage: Stage = Stage.RESERVING
    attempts: int = 0
    provider_job_id: str | None = None
    polls: int = 0
    next_poll_at: str | None = None
    gives_up_at: str | None = None
    cancel_requested: bool = False
    pushback_code: str | None = None

    def set_next_poll(self, next_poll: datetime, deadline: datetime) -> None:
        self.next_poll_at = next_poll.isoformat(timespec="milliseconds")
        self.gives_up_at = deadline.isoformat(timespec="milliseconds")

    def reset_for_fallback(self) -> None:
        """Forget the first provider's job and poll times."""
        self.provider_job_id, self.next_poll_at, self.gives_up_at = None, None, None
        self.pushback_code = None

    def describe(self, provider: str) -> str:
        """Return what the job waits for, as an operator reads it in the Temporal UI."""
        sentences = [f"**{self.stage}**: {_STAGE_TEXTS[self.stage].format(provider=provider)}"]
        if self.pushback_code and self.stage is Stage.THROTTLED:
            sentences.append(f"It was pushed back last with `{self.pushback_code}`.")
        if self.provider_job_id:
            sentences.append(f"The provider's job is `{self.provider_job_id}`.")
        if self.stage in (Stage.GENERATING, Stage.SUBMIT_UNKNOWN) and self.next_poll_at:
            sentences.append(
                f"Poll {self.polls + 1} is due at {self.next_poll_at} unless a webhook comes first;"
                f" gives up at {self.gives_up_at}."
            )
        if self.cancel_requested:
            sentences.append("A cancel has been requested.")
        return " ".join(sentences)


_STAGE_TEXTS: Mapping[Stage, str] = {
    Stage.CREATED: "accepted; nothing has happened yet.",
    Stage.RESERVING: "holding the price on the tenant's account.",
    Stage.THROTTLED: "credits are held; waiting for a slot at {provider}.",
    Stage.SUBMITTING: "credits are held; the job is on its way to {provider}.",
    Stage.SUBMIT_UNKNOWN: (
        "credits are held; {provider} may or may not have the job, so it is not submitted again."
    ),
    Stage.GENERATING: "credits are held; {provider} is making the image.",
    Stage.STORING: "credits are held; copying the images from {provider} to our own storage.",
    Stage.SETTLING: "the images are stored; charging for them.",
    Stage.COMPLETED: "the images are stored and paid for.",
    Stage.FAILED: "ended without images; held credits went back.",
    Stage.CANCELED: "stopped on request; held credits went back.",
}
