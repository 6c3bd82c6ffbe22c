"""Repairs what no workflow can: rows without a run, runs without an ending, webhooks nobody was told of.

Runs are looked up by id, never through visibility, which lags and is limited. Each repair is safe to
repeat and to race with the workflow it repairs behind: the guarded transactions of the ledger decide.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio import activity

from activities.door import Door
from activities.keeping import object_prefix
from activities.metrics import count_finished, count_repair
from activities.provider import ProviderActivities
from domain.errors import WorkflowLost
from domain.files import StoredFile
from domain.generation import Ending, Generation, Outcome, Status
from domain.ports import Files, Inbox, Ledger, ObjectStore, Received, Repairs, Runs, Stranded
from domain.provider import AttemptRef

_MOST_PER_RUN = 200
_AT_ONCE = 10

Found = TypeVar("Found")
Repaired = Mapping[str, int]


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
        files: Files,
        door: Door,
        doors: Collection[str],
    ) -> None:
        self._repairs = repairs
        self._runs = runs
        self._ledger = ledger
        self._inbox = inbox
        self._store = store
        self._provider = provider
        self._files = files
        self._door = door
        self._doors = doors

    @activity.defn
    async def reconcile(self, plan: ReconcilePlan) -> dict[str, int]:
        """How many of each repair were made."""
        unrelayed = await self._repairs.unrelayed(timedelta(seconds=plan.unrelayed_seconds), _MOST_PER_RUN)
        done = await _each(self._relay, unrelayed, lambda event: event.generation_id)
        stranded = await self._repairs.stranded(timedelta(seconds=plan.stranded_seconds), _MOST_PER_RUN)
        done += await _each(self._help, stranded, lambda row: row.input.generation_id)
        unswept = await self._repairs.unswept(timedelta(seconds=plan.unswept_seconds), _MOST_PER_RUN)
        done += await _each(self._sweep, unswept, lambda generation: generation.id)
        done += await _each(self._open_door, list(self._doors), lambda provider: provider)
        done += await _each(self._forget, await self._files.expired(_MOST_PER_RUN), lambda file: file.id)
        for kind, times in done.items():
            count_repair(kind, times)
        return dict(done)

    async def _relay(self, event: Received) -> Repaired:
        is_heard = await self._runs.report(event.generation_id, event.signal)
        await self._inbox.mark_relayed(event.signal.inbox_id)
        return {"webhook_relayed": int(is_heard)}

    async def _help(self, stranded: Stranded) -> Repaired:
        kind = await self._repair(stranded)
        if kind is None:
            return {}
        activity.logger.info("%s: %s", kind, stranded.input.generation_id)
        return {kind: 1}

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
        return "workflow_lost" if await self._give_up(stranded) else None

    async def _give_up(self, stranded: Stranded) -> bool:
        """The run is over and the row is not: call the provider off, return the credits, tell an operator.

        False if the row has ended by itself since it was read.
        """
        generation_id = stranded.input.generation_id
        if stranded.attempt is not None:
            await self._call_off(stranded.attempt)
        ending = Ending(Status.FAILED, WorkflowLost.code, attention=WorkflowLost.code)
        if stranded.cancel_requested:
            ending = Ending(Status.CANCELED, attention=WorkflowLost.code)
        refund = await self._ledger.refund(generation_id, ending)
        if refund.outcome != Outcome(generation_id, ending.status, ending.code):
            return False
        count_finished(refund.outcome)
        return True

    async def _open_door(self, provider: str) -> Repaired:
        """Places that nobody was told of, or that came free when nobody looked."""
        return {"places_told": await self._door.hand_out(provider)}

    async def _forget(self, file: StoredFile) -> Repaired:
        """The object first: a record without an object is found again, an object without one never."""
        await self._store.delete_under(file.key)
        await self._files.forget(file.id)
        return {"files_expired": 1}

    async def _call_off(self, attempt: AttemptRef) -> None:
        try:
            await self._provider.cancel_job(attempt)
        except Exception as error:  # noqa: BLE001 - also a provider that is switched off: credits go back anyway
            activity.logger.warning("cancel of %s: %r", attempt.generation_id, error)

    async def _sweep(self, generation: Generation) -> Repaired:
        """Objects of a generation that ended without images. Storing may have been cut in the middle."""
        swept = await self._store.delete_under(object_prefix(generation.tenant_id, generation.id))
        await self._repairs.mark_swept(generation.id)
        return {"objects_swept": swept}


async def _each(
    repair: Callable[[Found], Awaitable[Repaired]], all_found: Sequence[Found], id_of: Callable[[Found], str]
) -> Counter[str]:
    """Repair some at once. What fails is left to the next run, and holds up nothing else."""
    some_at_once = asyncio.Semaphore(_AT_ONCE)

    async def attempt(found: Found) -> Repaired:
        async with some_at_once:
            try:
                return await repair(found)
            except Exception as error:  # noqa: BLE001 - a bug, too, is no reason to let others wait
                activity.logger.warning("put_off: %s: %r", id_of(found), error)
                return {"put_off": 1}

    done: Counter[str] = Counter()
    for repaired in await asyncio.gather(*(attempt(found) for found in all_found)):
        done.update(repaired)
    return done
