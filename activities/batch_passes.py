"""A pass over a batch: looks at its rows again and again, for some seconds, and does what can be done.

One pass may begin hundreds of items, and is a handful of events in the history of the batch's workflow.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from temporalio import activity

from activities.batch_items import ItemStarter
from activities.metrics import count_batch, count_items
from domain.batch_runs import BatchLook, BatchReport, WaitingItem
from domain.batches import BatchStatus
from domain.catalog import Catalog
from domain.errors import TemporalUnavailable, TooLateToCancel
from domain.generation import Generation
from domain.ports import BatchRuns, Generations, TenantUsages, WorkflowClient
from domain.tenant import TenantLimits

_log = logging.getLogger("darkroom.batches")
# Of one look: some of them may end at once, and take no room.
_MIN_ITEMS = 100
_PAGE_ITEMS = 10
_CANCELED_AT_ONCE = 1000
_MAX_CONCURRENT = 10


@dataclass(frozen=True)
class Pace:
    """How long a pass takes, and how long it waits from look to look while nothing moves."""

    pass_seconds: float = 20.0
    first_pause_seconds: float = 0.1
    max_pause_seconds: float = 2.0


class BatchPasses:
    """Passes may overlap: what must not be twice is decided by the rows.

    limits: Of tenants that have none of their own.
    """

    def __init__(
        self,
        runs: BatchRuns,
        items: ItemStarter,
        generations: Generations,
        workflows: WorkflowClient,
        usages: TenantUsages,
        catalog: Catalog,
        limits: TenantLimits,
        pace: Pace | None = None,
    ) -> None:
        self._runs = runs
        self._items = items
        self._generations = generations
        self._workflows = workflows
        self._usages = usages
        self._catalog = catalog
        self._limits = limits
        self._pace = pace or Pace()

    async def run_pass(self, batch_id: str) -> BatchReport:
        """Go on until the batch has ended, the pass's time is over, or the worker stops."""
        end = time.monotonic() + self._pace.pass_seconds
        pause_seconds, has_moved, before = self._pace.first_pause_seconds, False, None
        while True:
            look = await self._runs.look_at_batch(batch_id)
            if look.status.is_terminal or await self._end(batch_id, look):
                return BatchReport(has_ended=True, has_moved=True)
            moves = await self._move(batch_id, look)
            moved = moves > 0 or (before is not None and before != look.open_generations)
            before, has_moved = look.open_generations, has_moved or moved
            if time.monotonic() > end or _is_stopping():
                return BatchReport(has_ended=False, has_moved=has_moved)
            doubled = min(2 * pause_seconds, self._pace.max_pause_seconds)
            pause_seconds = self._pace.first_pause_seconds if moved else doubled
            await asyncio.sleep(pause_seconds)

    async def _end(self, batch_id: str, look: BatchLook) -> bool:
        if look.has_waiting or look.open_generations:
            return False
        batch = await self._runs.end_batch(batch_id)
        if batch is not None:
            count_batch(batch)
        return batch is not None

    async def _move(self, batch_id: str, look: BatchLook) -> int:
        """Do what can be done now; return how many items were begun or ended."""
        if look.status is BatchStatus.CANCELING:
            return await self._cancel(batch_id, look)
        if look.status is not BatchStatus.IN_PROGRESS or not look.has_waiting:
            return 0
        if look.stop_code is not None:
            await self._runs.stop_batch(batch_id, look.stop_code)
            return 1
        return await self._begin_items(batch_id, look)

    async def _cancel(self, batch_id: str, look: BatchLook) -> int:
        """End what waits, and if its client wants so also what was begun, as a cancel of each would.

        What was begun first: it may be charged soon, and tens of thousands that wait take seconds.
        """
        if look.is_cancel_requested:
            for generation_id in await self._runs.list_generations_to_cancel(batch_id):
                with suppress(TooLateToCancel):
                    await self._generations.record_cancel_request(look.tenant_id, generation_id)
                    with suppress(TemporalUnavailable):  # the reconciler relays it
                        await self._workflows.signal_cancel(generation_id)
        canceled = 0
        while count := await self._runs.cancel_items(batch_id, _CANCELED_AT_ONCE):
            canceled += count
        count_items("canceled", canceled)
        return canceled

    async def _begin_items(self, batch_id: str, look: BatchLook) -> int:
        """Begin as many as there is room for. What another pass does meanwhile is not done again."""
        room = await self._room(look)
        if room <= 0:
            return 0
        made: list[Generation] = []
        ended, held_credits = 0, look.held_credits
        try:
            async for item in self._waiting_items(batch_id, max(room, _MIN_ITEMS)):
                held_credits += item.price_credits
                if len(made) == room or _is_over_cap(look, held_credits, item.price_credits):
                    break
                begun = await self._items.begin(batch_id, look, item)
                made += [begun.generation] if begun.generation is not None else []
                ended += begun.has_ended
        finally:  # what is made is started, also where the next one could not be
            await self._start(made)
        count_items("begun", len(made))
        return len(made) + ended

    async def _waiting_items(self, batch_id: str, limit: int) -> AsyncIterator[WaitingItem]:
        """Read a few at a time: an item may have 100 KB, and many passes run at once."""
        after = -1
        for begin in range(0, limit, _PAGE_ITEMS):
            page = await self._runs.list_waiting_items(batch_id, min(_PAGE_ITEMS, limit - begin), after=after)
            for item in page:
                yield item
            if len(page) < _PAGE_ITEMS:
                return
            after = page[-1].index

    async def _room(self, look: BatchLook) -> int:
        """Return how many more generations may be made now. Limits make a batch wait, and never fail.

        What the tenant has left is for all of its batches, which look at the same moment.
        """
        limits = self._limits.with_overrides(look.tenant_limits)
        room = min(look.concurrency, limits.max_batch_concurrency) - look.open_generations
        if room <= 0:
            return 0
        most = limits.max_open_generations
        usage = await self._usages.read_usage(look.tenant_id, max_generations=most)
        if usage.uncharged_credits >= limits.max_uncharged_credits:
            return 0
        waiting = limits.max_waiting_generations - usage.waiting_generations
        left = min(most - usage.open_generations, waiting)
        return min(room, left, max(1, left // max(1, look.running_batches)))

    async def _start(self, made: Sequence[Generation]) -> None:
        """Start workflows; the reconciler starts what Temporal does not take now."""
        turns = asyncio.Semaphore(_MAX_CONCURRENT)

        async def start(generation: Generation) -> None:
            request = generation.request
            model = self._catalog.models.get(request.model)
            job = self._catalog.workflow_input(
                generation.id, generation.tenant_id, request, generation.created_at
            )
            async with turns:
                await self._workflows.start_workflow(job, model.title if model is not None else request.model)

        outcomes = await asyncio.gather(*(start(each) for each in made), return_exceptions=True)
        for generation, outcome in zip(made, outcomes, strict=True):
            if outcome is not None:
                _log.warning("%s starts later: %r", generation.id, outcome)


def _is_over_cap(look: BatchLook, held_credits: int, price_credits: int) -> bool:
    """Return whether the key's open jobs would hold more than it may, and less will be held once some end."""
    cap = look.max_held_credits
    return cap is not None and held_credits > cap and held_credits > price_credits


def _is_stopping() -> bool:
    return activity.in_activity() and activity.is_worker_shutdown()
