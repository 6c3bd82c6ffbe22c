"""Gauges of the whole installation, read from the database when they are asked for, but not too often."""

import asyncio
import logging
import time

from api import metrics
from domain.errors import DatabaseUnavailable
from domain.ports import Installation, InstallationState

_log = logging.getLogger("darkroom.api")
_MAX_AGE_SECONDS = 10.0
_TIMEOUT_SECONDS = 2.0


class StateGauges:
    """Every API process reports the same state, so alerts should take the maximum, not the sum."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def refresh(self) -> None:
        """Read the state if it is older than 10 s; without a database the gauges disappear."""
        async with self._lock:
            if time.monotonic() - self._read_at < _MAX_AGE_SECONDS:
                return
            self._read_at = time.monotonic()
            for gauge in metrics.STATE:
                gauge.clear()
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    _report(await self._installation.read_state())
            except (DatabaseUnavailable, TimeoutError):
                _log.warning("the state of the installation could not be read")


def _report(state: InstallationState) -> None:
    for stage in state.stages:
        metrics.open_generations.labels(stage.stage).set(stage.generations)
        metrics.oldest_seconds.labels(stage.stage).set(stage.oldest_seconds)
    for queue in state.queues:
        metrics.slots.labels(queue.provider, "in_use").set(queue.slots_in_use)
        metrics.slots.labels(queue.provider, "waiting").set(queue.waiting)
        metrics.slots.labels(queue.provider, "pushed_back").set(queue.pushed_back)
        metrics.closed.labels(queue.provider).set(queue.is_closed)
    metrics.held_credits.labels("all").set(state.held_credits)
    metrics.flagged.labels("all").set(state.flagged)
    metrics.uncharged_credits.labels("all").set(state.uncharged_credits)
    metrics.uncharged_credits.labels("max").set(state.max_uncharged_credits)
    metrics.usage_unsent.labels("billing").set(state.usage_events.unsent)
    metrics.usage_oldest_seconds.labels("billing").set(state.usage_events.oldest_seconds)
    for check, count in state.books.disagreements.items():
        metrics.books_disagreements.labels(check).set(count)
    metrics.books_age_seconds.labels("all").set(state.books.age_seconds)
