"""How long jobs took, over all tenants."""

from typing import Protocol

from domain.durations import ModelDurations


class DurationHistory(Protocol):
    """What the rows of completed generations tell."""

    async def measure_durations(self, model: str) -> ModelDurations:
        """Return what the last generations of a model took that completed."""
        ...
