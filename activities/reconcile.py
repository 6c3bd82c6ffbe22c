"""Repairs what no workflow can: rows without a run, runs without an ending, webhooks nobody was told of.

Runs are looked up by id, never through visibility, which lags and is limited. Each repair is safe to
repeat and to race with the workflow it repairs behind: the guarded transactions of the ledger decide.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.assets import object_prefix
from activities.metrics import count_finished, count_repair
from activities.provider import ProviderActivities
from domain.errors import ServiceError, WorkflowLost
from domain.generation import Ending, Status
from domain.ports import Inbox, Ledger, ObjectStore, Repairs, Runs, Stranded

_MOST_PER_RUN = 200
_AT_ONCE = 10


@dataclass(frozen=True)
class ReconcilePlan:
    """How old a thing must be before it counts as left behind."""

    stranded_seconds: float = 5.0
    unrelayed_seconds: float = 2.0
    unswept_seconds: float = 60.0


class ReconcileActivities:
    """One look around, and what to do about each thing found."""

    def __init__(
        self,
        repairs: Repairs,
        runs: Runs,
        ledger: Ledger,
        inbox: Inbox,
        store: ObjectStore,
        provider: ProviderActivities,
    ) -> None:
        self._repairs = repairs
        self._runs = runs
        self._ledger = ledger
        self._inbox = inbox
        self._store = store
        self._provider = provider

    @activity.defn
    async def reconcile(self, plan: ReconcilePlan) -> dict[str, int]:
        """How many of each repair were made."""
        done: Counter[str] = Counter()
        unrelayed = await self._repairs.unrelayed(timedelta(seconds=plan.unrelayed_seconds), _MOST_PER_RUN)
        for event in unrelayed:
            done["webhook_relayed"] += await self._runs.report(event.generation_id, event.signal)
            await self._inbox.mark_relayed(event.signal.inbox_id)
        stranded = await self._repairs.stranded(timedelta(seconds=plan.stranded_seconds), _MOST_PER_RUN)
        some_at_once = asyncio.Semaphore(_AT_ONCE)
        kinds = await asyncio.gather(*(self._help(each, some_at_once) for each in stranded))
        done.update(kind for kind in kinds if kind is not None)
        done["objects_swept"] += await self._sweep(timedelta(seconds=plan.unswept_seconds))
        for kind, times in done.items():
            count_repair(kind, times)
        return dict(done)

    async def _help(self, stranded: Stranded, some_at_once: asyncio.Semaphore) -> str | None:
        async with some_at_once:
            kind = await self._repair(stranded)
        if kind is not None:
            activity.logger.info("%s: %s", kind, stranded.input.generation_id)
        return kind

    async def _repair(self, stranded: Stranded) -> str | None:
        generation_id = stranded.input.generation_id
        state = await self._runs.state(generation_id)
        if not state.exists:
            await self._runs.start(stranded.input, stranded.title)
            return "started"
        if state.running:
            if stranded.cancel_requested and await self._runs.request_cancel(generation_id):
                return "cancel_relayed"
            return None
        await self._give_up(stranded)
        return "workflow_lost"

    async def _give_up(self, stranded: Stranded) -> None:
        """The run is over and the row is not: call the provider off, return the credits, tell an operator."""
        if stranded.attempt is not None:
            try:
                await self._provider.cancel_job(stranded.attempt)
            except ServiceError as error:
                activity.logger.warning("cancel of %s: %s", stranded.input.generation_id, error)
        ending = Ending(Status.FAILED, WorkflowLost.code, attention=WorkflowLost.code)
        if stranded.cancel_requested:
            ending = Ending(Status.CANCELED, attention=WorkflowLost.code)
        refund = await self._ledger.refund(stranded.input.generation_id, ending)
        if refund.outcome is not None:
            count_finished(refund.outcome)

    async def _sweep(self, older_than: timedelta) -> int:
        """Objects of generations that ended without images. Storing may have been cut in the middle."""
        swept = 0
        for generation in await self._repairs.unswept(older_than, _MOST_PER_RUN):
            swept += await self._store.delete_under(object_prefix(generation.tenant_id, generation.id))
            await self._repairs.mark_swept(generation.id)
        return swept
