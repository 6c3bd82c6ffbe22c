"""The loop between the log of events and the workflows that deliver: makes deliveries, and starts them.

Nothing depends on this process: a delivery is a row before it has a workflow, and whoever looks next
starts it.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from activities.polling import poll_until_stopped
from domain.ports.webhooks import Deliveries, DeliveryWorkflows
from domain.webhooks import DeliveryInput

_log = logging.getLogger("darkroom.deliveries")
_BATCH = 500
_STARTS = 100
_MAX_CONCURRENT = 20
_BUSY_SECONDS, _IDLE_SECONDS = 0.1, 1.0
_SWEEP_SECONDS = 60.0
# Longer than any attempt with its retries takes while workers are there.
_OVERDUE = timedelta(minutes=10)
_PURGE_BATCHES = 20


class Dispatcher:
    """Runs in every worker; the database lets one at a time read the log.

    keeps: How long ended deliveries are kept; None for ever.
    """

    def __init__(
        self, deliveries: Deliveries, workflows: DeliveryWorkflows, *, keeps: timedelta | None = None
    ) -> None:
        self._deliveries = deliveries
        self._workflows = workflows
        self._keeps = keeps
        self._next_sweep = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until stopped."""
        await poll_until_stopped(stop, self.look, _log, "deliveries")

    async def look(self) -> float:
        """Dispatch and start a batch of each; return after how many seconds to look again."""
        done = await self._deliveries.dispatch(_BATCH)
        # The log is read on while Temporal is away: what is found is kept as rows.
        try:
            started = await self._start(await self._deliveries.list_unstarted(_STARTS))
        finally:  # one that cannot be started hides none whose workflow is lost
            if time.monotonic() >= self._next_sweep:
                self._next_sweep = time.monotonic() + _SWEEP_SECONDS
                await self.sweep()
        if done.events == _BATCH or started == _STARTS:
            return 0.0
        return _BUSY_SECONDS if done.is_waited_for else _IDLE_SECONDS

    async def sweep(self) -> None:
        """Have deliveries go on whose workflows are lost, and delete old ones."""
        for delivery in await self._deliveries.list_overdue(_OVERDUE, _STARTS):
            if await self._workflows.is_delivery_open(delivery.workflow_id):
                # It waits for its receiver's turn, and must not be looked at again before all others.
                await self._deliveries.note_waiting(delivery.delivery_id, delivery.run)
            else:
                await self._deliveries.restart(delivery.delivery_id, delivery.run)
        if self._keeps is None:
            return
        for _ in range(_PURGE_BATCHES):
            if await self._deliveries.purge_ended(self._keeps, _BATCH) < _BATCH:
                break

    async def _start(self, found: Sequence[DeliveryInput]) -> int:
        """Start some at once, and note those that were; raise TemporalUnavailable for the others."""
        turns = asyncio.Semaphore(_MAX_CONCURRENT)

        async def start(delivery: DeliveryInput) -> None:
            async with turns:
                await self._workflows.start_delivery(delivery)

        outcomes = await asyncio.gather(*(start(each) for each in found), return_exceptions=True)
        errors = [outcome for outcome in outcomes if outcome is not None]
        started = [each for each, outcome in zip(found, outcomes, strict=True) if outcome is None]
        if started:
            await self._deliveries.mark_started(started)
        if errors:
            raise errors[0]
        return len(started)
