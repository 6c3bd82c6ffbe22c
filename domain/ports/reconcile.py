"""What the reconciler reads to find what no workflow can repair. Every list is limited."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.generation import Generation, GenerationInput, Stage
from domain.ports.attempts import WebhookReceipt
from domain.provider import AttemptRef


@dataclass(frozen=True)
class StuckGeneration:
    """An open generation that has not changed for a while.

    cancel_requested: Whether its client wants it to end, also by the time that it had set.
    """

    input: GenerationInput
    title: str
    stage: Stage
    attempt: AttemptRef | None
    cancel_requested: bool


class ReconcileQueries(Protocol):
    """Finds what no workflow repairs. What a list of generations returns counts as checked now."""

    async def list_not_started(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        """Return those that were accepted and whose workflow has done nothing yet."""
        ...

    async def list_to_cancel(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        """Return open ones that a client wants to stop."""
        ...

    async def list_past_cancel_at(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        """Return open ones that should have ended by the time that their client had set."""
        ...

    async def list_stuck(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]:
        """Return the other open ones, those that were not checked for longest first."""
        ...

    async def flag_stalled(self, limit: int) -> Sequence[str]:
        """Flag open ones whose stage has lasted longer than all their time limits; return their ids."""
        ...

    async def list_unrelayed(
        self, older_than: timedelta, limit: int, *, after: int = 0
    ) -> Sequence[WebhookReceipt]:
        """Return webhooks that no workflow was signaled of, with an inbox id above `after`, in order."""
        ...

    async def list_with_orphaned_objects(self, older_than: timedelta, limit: int) -> Sequence[Generation]:
        """Return generations that have no images, or none any more, after storing had begun."""
        ...

    async def mark_objects_deleted(self, generation_id: str) -> None: ...
