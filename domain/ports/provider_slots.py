"""Provider slots: how many jobs may be at a provider at once, and who gets the next free one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.provider import AttemptRef


@dataclass(frozen=True)
class SlotDecision:
    """The result of a request for a slot.

    to_notify: Other attempts that were granted one by the way. released_provider: Where the generation
    gave up its slot for this one.
    """

    granted: bool
    to_notify: tuple[AttemptRef, ...] = ()
    released_provider: str | None = None


@dataclass(frozen=True)
class QueuePosition:
    """A position in a provider's queue: since when, and how many attempts come first."""

    since: datetime
    ahead: int


class ProviderSlots(Protocol):
    """Slots at providers, granted to the waiting tenants in turn."""

    async def request(self, attempt: AttemptRef) -> SlotDecision:
        """Take a slot or a position in the queue. Safe to repeat; waiting attempts call it again."""
        ...

    async def grant_free(self, provider: str) -> Sequence[AttemptRef]:
        """Grant free slots; return all granted attempts that were not yet notified."""
        ...

    async def mark_notified(self, attempt: AttemptRef) -> None:
        """Record that the attempt's workflow knows of its slot."""
        ...

    async def pause(self, provider: str, seconds: float) -> None:
        """Grant no slot of the provider for so long."""
        ...

    async def paused_seconds(self, provider: str) -> float:
        """Return how long the provider stays paused; 0 if it is not."""
        ...

    async def queue_position(self, generation_id: str) -> QueuePosition | None:
        """Return where a waiting generation stands; None for one that does not wait."""
        ...
