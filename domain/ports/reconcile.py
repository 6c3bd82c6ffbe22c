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
    """An open generation that has not changed for a while."""

    input: GenerationInput
    title: str
    stage: Stage
    attempt: AttemptRef | None
    cancel_requested: bool


class ReconcileQueries(Protocol):
    """Finds stuck generations, webhooks that no workflow was signaled of, and orphaned objects."""

    async def list_stuck(self, older_than: timedelta, limit: int) -> Sequence[StuckGeneration]: ...

    async def list_unrelayed(self, older_than: timedelta, limit: int) -> Sequence[WebhookReceipt]: ...

    async def list_with_orphaned_objects(self, older_than: timedelta, limit: int) -> Sequence[Generation]:
        """Return generations that ended without images after storing had begun."""
        ...

    async def mark_objects_deleted(self, generation_id: str) -> None: ...
