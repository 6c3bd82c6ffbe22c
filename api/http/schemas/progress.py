"""How far a job is, as its client sees it."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from domain.generation import Stage


class QueueKind(StrEnum):
    """Whose queue a job waits in."""

    OWN = "own"
    PROVIDER = "provider"


class TypicalSecondsView(BaseModel):
    """How long jobs of the model usually are at the stage. `samples` is 0 for the catalog's estimate."""

    p50: float
    p95: float | None
    samples: int


class ProgressView(BaseModel):
    """How far an open job is.

    Attributes:
        queue: `own` while it waits here for a free slot of its provider, `provider` while it waits there.
        position: How many come first in that queue, where it is known.
        percent: From 0 to 100, only where the provider states it; it may go down.
        logs: The provider's last lines.
        updated_at: When the provider last said how far it is.
        typical_seconds: Of the stage; null where it is not known.
        elapsed_seconds: Since the stage began.
    """

    stage: Stage
    queue: QueueKind | None
    position: int | None
    percent: float | None
    logs: list[str]
    updated_at: datetime | None
    typical_seconds: TypicalSecondsView | None
    elapsed_seconds: float
