"""How far open generations are, for those who wait for them."""

from typing import Protocol

from domain.generation import Stage
from domain.progress import StageProgress, TypicalSeconds


class ProgressRecords(Protocol):
    """What polls have recorded."""

    async def read_progress(self, generation_id: str) -> StageProgress | None:
        """Return where a generation stands; None for one that has ended, or that there is not."""
        ...


class TypicalDurations(Protocol):
    """How long stages usually take."""

    async def typical_seconds(self, model: str, stage: Stage) -> TypicalSeconds | None:
        """Return how long generations of the model are at the stage; None if that is not known."""
        ...
