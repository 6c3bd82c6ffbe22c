"""Repairs what no workflow can: rows without a workflow, lost workflows with an open row, unrelayed webhooks.

Workflows are looked up by id, never through visibility, which lags and is rate-limited. Each repair is safe
to repeat and to race with the workflow it repairs: the guarded transactions of the ledger decide.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from temporalio import activity

from activities.assets import object_keys
from activities.batch_repairs import BatchRepairer
from activities.erasure import Eraser
from activities.lots import LotSweeper
from activities.metrics import count_finished, count_reconcile, count_repair
from activities.partial_images import PartialImageEraser
from activities.provider import ProviderActivities
from activities.provider_slots import SlotGranter
from domain.errors import WorkflowLost
from domain.generation import Generation, Status, TerminalState
from domain.input_files import InputFile
from domain.ports import (
    Inbox,
    InputFiles,
    Ledger,
    ObjectStore,
    ReconcileQueries,
    StuckGeneration,
    WebhookReceipt,
    WorkflowClient,
)
from domain.provider import AttemptRef

_BATCH = 200
_MAX_CONCURRENT = 10
# Of healthy open generations so many are looked up in Temporal per run; the others in the next ones.
_MAX_OPEN_BATCHES = 10
# Batches of one part are repeated while they are full, for at most so long.
_PART_SECONDS = 10.0

Found = TypeVar("Found")
Repaired = Mapping[str, int]


@dataclass(frozen=True)
class ReconcilePlan:
    """How old a thing must be before it counts as left behind. The schedule in Temporal stores the names."""

    stranded_seconds: float = 5.0
    unrelayed_seconds: float = 2.0
    unswept_seconds: float = 60.0


class ReconcileActivities:
    """One pass over everything that may have been left behind.

    providers: whose slots are granted.
    """

    def __init__(
        self,
        queries: ReconcileQueries,
        workflows: WorkflowClient,
        ledger: Ledger,
        inbox: Inbox,
        store: ObjectStore,
        provider: ProviderActivities,
        files: InputFiles,
        slots: SlotGranter,
        providers: Collection[str],
        eraser: Eraser,
        partial_images: PartialImageEraser,
        lots: LotSweeper,
        batches: BatchRepairer,
    ) -> None:
        self._queries = queries
        self._workflows = workflows
        self._ledger = ledger
        self._inbox = inbox
        self._store = store
        self._provider = provider
        self._files = files
        self._slots = slots
        self._providers = providers
        self._eraser = eraser
        self._partial_images = partial_images
        self._lots = lots
        self._batches = batches

    @activity.defn
    async def reconcile(self, plan: ReconcilePlan) -> dict[str, int]:
        """Repair what is found; return how many repairs of each kind were made.

        A part that fails hides no other: it is counted, and the next run tries it again.
        """
        done: Counter[str] = Counter()
        for part, run in self._parts(plan).items():
            try:
                done += await run()
                count_reconcile(part, succeeded=True)
            except Exception:  # noqa: BLE001 - whatever it is, the other parts must not wait for it
                activity.logger.exception("the reconciler's part %s failed", part)
                count_reconcile(part, succeeded=False)
        for kind, times in done.items():
            count_repair(kind, times)
        return dict(done)

    def _parts(self, plan: ReconcilePlan) -> Mapping[str, Callable[[], Awaitable[Counter[str]]]]:
        """Return each part by its name, in order: what is lost first, then what only takes up room."""
        age = timedelta(seconds=plan.stranded_seconds)
        orphan_age = timedelta(seconds=plan.unswept_seconds)
        queries = self._queries
        return {
            "webhooks": lambda: self._relay_webhooks(timedelta(seconds=plan.unrelayed_seconds)),
            "starts": lambda: _repair_all(
                partial(queries.list_not_started, age), self._repair_stuck, _id_of_stuck
            ),
            "cancels": lambda: _repair_all(
                partial(queries.list_to_cancel, age), self._repair_stuck, _id_of_stuck
            ),
            "deadlines": lambda: _repair_all(
                partial(queries.list_past_cancel_at, age), self._repair_stuck, _id_of_stuck
            ),
            "lots": self._lots.sweep,
            "batches": lambda: _repair_all(
                partial(self._batches.list_open, age), self._batches.repair, lambda batch: batch.batch_id
            ),
            "slots": lambda: _repair_each(self._grant_slots, list(self._providers), str),
            "stalled": self._flag_stalled,
            "open": lambda: _repair_all(
                partial(queries.list_stuck, age),
                self._repair_stuck,
                _id_of_stuck,
                max_batches=_MAX_OPEN_BATCHES,
            ),
            "tenants": self._eraser.erase_tenants,
            "retention": self._eraser.erase_old,
            "expired_images": self._eraser.erase_expired_images,
            "objects": lambda: _repair_all(
                partial(queries.list_with_orphaned_objects, orphan_age),
                self._delete_orphaned_objects,
                lambda generation: generation.id,
            ),
            "partial_images": lambda: _repair_all(
                partial(self._partial_images.list_due, orphan_age),
                self._partial_images.erase,
                lambda owner: owner.generation_id,
            ),
            "files": lambda: _repair_all(
                self._files.list_expired_files, self._delete_expired_file, lambda file: file.id
            ),
        }

    async def _relay_webhooks(self, age: timedelta) -> Counter[str]:
        done: Counter[str] = Counter()
        after, end = 0, _budget_end()
        while True:
            found = await self._queries.list_unrelayed(age, _BATCH, after=after)
            done += await _repair_each(self._relay_webhook, found, lambda event: event.generation_id)
            if len(found) < _BATCH or time.monotonic() > end:
                return done
            after = found[-1].signal.inbox_id

    async def _flag_stalled(self) -> Counter[str]:
        """Flag what has not moved for longer than its limits, such as a run in a failing workflow task.

        Its credits stay held: the run is open, and may go on once a fix is deployed.
        """
        stalled = await self._queries.flag_stalled(_BATCH)
        for generation_id in stalled:
            activity.logger.warning("stalled: %s", generation_id)
        return Counter({"stalled": len(stalled)})

    async def _relay_webhook(self, event: WebhookReceipt) -> Repaired:
        is_received = await self._workflows.signal_result(event.generation_id, event.signal)
        await self._inbox.mark_relayed(event.signal.inbox_id)
        return {"webhook_relayed": int(is_received)}

    async def _repair_stuck(self, stuck: StuckGeneration) -> Repaired:
        kind = await self._repair_workflow(stuck)
        if kind is None:
            return {}
        activity.logger.info("%s: %s", kind, stuck.input.generation_id)
        return {kind: 1}

    async def _repair_workflow(self, stuck: StuckGeneration) -> str | None:
        generation_id = stuck.input.generation_id
        state = await self._workflows.describe_workflow(generation_id)
        if not state.exists:
            await self._workflows.start_workflow(stuck.input, stuck.title)
            return "started"
        if state.running:
            if stuck.cancel_requested and await self._workflows.signal_cancel(generation_id):
                return "cancel_relayed"
            return None
        return await self._end_lost(stuck)

    async def _end_lost(self, stuck: StuckGeneration) -> str | None:
        """End a row whose workflow is over, and return how; None if the row has ended since it was read.

        Settled where the images are stored. Otherwise: cancel at the provider, return the credits, flag it.
        """
        generation_id = stuck.input.generation_id
        if stuck.attempt is not None:
            await self._cancel_at_provider(stuck.attempt)
        terminal_state = TerminalState(Status.FAILED, WorkflowLost.code, attention=WorkflowLost.code)
        if stuck.cancel_requested:
            terminal_state = TerminalState(Status.CANCELED, attention=WorkflowLost.code)
        outcome = await self._ledger.end_lost(generation_id, terminal_state)
        if outcome is None:
            return None
        count_finished(outcome)
        return "settled" if outcome.status is Status.COMPLETED else "workflow_lost"

    async def _grant_slots(self, provider: str) -> Repaired:
        """Grant slots that are free, and notify workflows that do not know of theirs."""
        return {"slots_granted": await self._slots.grant_free_slots(provider)}

    async def _delete_expired_file(self, file: InputFile) -> Repaired:
        """Delete the object first: a record without an object is found again, the reverse never is."""
        await self._store.delete_objects([file.key])
        await self._files.delete_file(file.id)
        return {"files_expired": 1}

    async def _cancel_at_provider(self, attempt: AttemptRef) -> None:
        try:
            await self._provider.cancel_job(attempt)
        except Exception as error:  # noqa: BLE001 - also a provider that is switched off: credits go back anyway
            activity.logger.warning("cancel of %s: %r", attempt.generation_id, error)

    async def _delete_orphaned_objects(self, generation: Generation) -> Repaired:
        """Delete objects of a generation without images: its storing was interrupted, or they were erased."""
        deleted = await self._store.delete_objects(object_keys(generation))
        await self._queries.mark_objects_deleted(generation.id)
        return {"orphaned_objects_deleted": deleted}


async def _repair_each(
    repair: Callable[[Found], Awaitable[Repaired]], all_found: Sequence[Found], id_of: Callable[[Found], str]
) -> Counter[str]:
    """Repair a few at once. What fails is left to the next run and delays nothing else."""
    semaphore = asyncio.Semaphore(_MAX_CONCURRENT)

    async def attempt(found: Found) -> Repaired:
        async with semaphore:
            try:
                return await repair(found)
            except Exception as error:  # noqa: BLE001 - a bug must not keep the others from being repaired
                activity.logger.warning("deferred: %s: %r", id_of(found), error)
                return {"deferred": 1}

    done: Counter[str] = Counter()
    for repaired in await asyncio.gather(*(attempt(found) for found in all_found)):
        done.update(repaired)
    return done


async def _repair_all(
    list_next: Callable[[int], Awaitable[Sequence[Found]]],
    repair: Callable[[Found], Awaitable[Repaired]],
    id_of: Callable[[Found], str],
    *,
    max_batches: int = 1_000_000,
) -> Counter[str]:
    """Repair batch after batch: while they are full, something in them is repaired, and there is time."""
    done: Counter[str] = Counter()
    end = _budget_end()
    for _ in range(max_batches):
        found = await list_next(_BATCH)
        repaired = await _repair_each(repair, found, id_of)
        done += repaired
        if len(found) < _BATCH or repaired["deferred"] == len(found) or time.monotonic() > end:
            break
    return done


def _budget_end() -> float:
    return time.monotonic() + _PART_SECONDS


def _id_of_stuck(stuck: StuckGeneration) -> str:
    return stuck.input.generation_id
