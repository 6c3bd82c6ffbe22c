"""Provider slots: how many jobs may be at a provider at once, and who gets the next free one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.generation import GenerationRequest
from domain.provider import AttemptRef


@dataclass(frozen=True)
class SlotDecision:
    """The result of a request for a slot.

    to_notify: Other attempts that were granted one by the way. released_provider: Where the generation
    gave up its slot for this one. closed: Whether the provider, or this model there, takes no jobs now.
    """

    granted: bool
    to_notify: tuple[AttemptRef, ...] = ()
    released_provider: str | None = None
    closed: bool = False


@dataclass(frozen=True)
class QueuePosition:
    """A position in a provider's queue.

    Attributes:
        since: When the attempt joined it.
        ahead: How many attempts come first; at least so many if not `is_exact`.
        pushback_code: Why the provider pushed the attempt back last; None if it waits for a free slot only.
        pause_seconds: How long it waits before it joins the others again; None if it is in the queue.
    """

    since: datetime
    ahead: int
    is_exact: bool = True
    pushback_code: str | None = None
    pause_seconds: float | None = None


@dataclass(frozen=True)
class Closure:
    """What is known of a provider when an attempt is about to be submitted.

    Attributes:
        has_evidence: Whether anything is to be forgotten when this attempt is taken.
        code: Why the provider, or this model there, is closed; None if the attempt may be submitted.
        seconds: How long it stays closed; 0 while a probe is out.
    """

    has_evidence: bool = False
    code: str | None = None
    seconds: float = 0.0


class ProviderSlots(Protocol):
    """Slots at providers, granted to the waiting tenants in turn."""

    async def request(self, attempt: AttemptRef, *, left_because: str | None = None) -> SlotDecision:
        """Take a slot or a position in the queue. Safe to repeat; waiting attempts call it again.

        Granted without a slot is an attempt that needs none: its generation has ended or is at a provider.
        left_because: For a second attempt, why the first provider was left, to be recorded.
        """
        ...

    async def grant_free(self, provider: str) -> Sequence[AttemptRef]:
        """Grant free slots; return who was granted one, and who was not notified of one in a second."""
        ...

    async def mark_notified(self, attempts: Sequence[AttemptRef]) -> None:
        """Record that the workflows of these attempts know of their slots."""
        ...

    async def forget_evidence(self, request: GenerationRequest) -> None:
        """Record that the provider took a job, which opens it."""
        ...

    async def list_waiting_with_fallback(self, request: GenerationRequest) -> Sequence[AttemptRef]:
        """Return attempts that wait for a closed provider and have another one; at most 1000."""
        ...

    async def open(self, provider: str) -> int:
        """Open a provider for everybody; return how many attempts need not wait any more."""
        ...

    async def queue_position(self, generation_id: str) -> QueuePosition | None:
        """Return where a waiting generation stands; None for one that does not wait."""
        ...
