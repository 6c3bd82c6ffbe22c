"""How long jobs of a model usually take, kept for a minute: the history is read once for all who ask."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from domain.catalog import Catalog
from domain.durations import ModelDurations
from domain.ports import DurationHistory

_MAX_AGE_SECONDS = 60.0


@dataclass(frozen=True)
class _Known:
    durations: ModelDurations
    read_at: float


class Durations:
    """Reads one model at a time, whoever asks: a crowd that asks costs the database one query a minute."""

    def __init__(
        self, history: DurationHistory, catalog: Catalog, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._history = history
        self._catalog = catalog
        self._clock = clock
        # One entry for each model of the catalog at most.
        self._known: dict[str, _Known] = {}
        self._reading = asyncio.Lock()

    async def of_model(self, model: str) -> ModelDurations:
        """Return what is known; while another reads, what was known before."""
        if model not in self._catalog.models:
            return ModelDurations()
        known = self._known.get(model)
        if known is not None and (self._is_fresh(known) or self._reading.locked()):
            return known.durations
        async with self._reading:
            known = self._known.get(model)
            if known is None or not self._is_fresh(known):
                read_at = self._clock()
                known = _Known(await self._history.measure_durations(model), read_at)
                self._known[model] = known
            return known.durations

    def _is_fresh(self, known: _Known) -> bool:
        return self._clock() - known.read_at < _MAX_AGE_SECONDS
