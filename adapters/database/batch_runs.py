"""The rows of a batch as its activities change them.

Whoever begins an item or ends a batch has the batch's row locked first: so no more generations are open than
its concurrency, none is made after a cancel is stored, and no item makes two.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.batch_mapping import read_batch, request_from_json
from adapters.database.engine import Database
from adapters.database.generations import CREATE_GENERATION, generation_values, hold_files
from adapters.database.tables.columns import TERMINAL
from adapters.database.tables.mapping import to_generation
from domain.batch_runs import BatchLook, WaitingItem
from domain.batches import Batch, BatchInput, BatchStatus, ItemState
from domain.errors import BatchNotFound, KeyNotValid, TenantSuspended
from domain.generation import Generation, GenerationRequest

_OPEN = f"SELECT count(*) FROM generations WHERE batch_id = :batch AND status NOT IN {TERMINAL}"  # noqa: S608
# By a key of `b`, or soon: until its price is held, a generation is `created`.
_HELD = """
coalesce((SELECT sum(held_credits) FROM key_spending WHERE api_key_id = b.api_key_id), 0) + coalesce((
    SELECT sum(price_credits) FROM generations
    WHERE tenant_id = b.tenant_id AND status = 'created' AND deleted_at IS NULL
        AND api_key_id = b.api_key_id AND held_credits = 0
), 0)
"""
_LOOK = text(f"""
SELECT b.tenant_id, b.api_key_id, b.status, b.concurrency, b.error_code, tenants.limits,
    b.cancel_requested_at IS NOT NULL AS is_cancel_requested,
    tenants.suspended_at IS NOT NULL AS is_suspended,
    key.id IS NULL OR key.revoked_at IS NOT NULL OR coalesce(key.expires_at <= now(), false) AS is_key_over,
    EXISTS (SELECT FROM batch_items WHERE batch_id = b.id AND state = 'waiting') AS has_waiting,
    ({_OPEN}) AS open_generations,
    key.max_held_credits,
    CASE WHEN key.max_held_credits IS NULL THEN 0 ELSE {_HELD} END AS held_credits,
    (SELECT count(*) FROM batches WHERE tenant_id = b.tenant_id AND status = 'in_progress') AS running_batches
FROM batches AS b JOIN tenants ON tenants.id = b.tenant_id LEFT JOIN api_keys AS key ON key.id = b.api_key_id
WHERE b.id = :batch
""").columns(limits=JSONB)  # noqa: S608 - constants
_LIST_WAITING = text("""
SELECT index AS place, request, price_credits, idempotency_key FROM batch_items
WHERE batch_id = :batch AND state = 'waiting' AND index > :after ORDER BY index LIMIT :limit
""").columns(request=JSONB)
_LOCK = text("""
SELECT b.tenant_id, b.api_key_id, b.status, b.concurrency, key.max_held_credits
FROM batches AS b LEFT JOIN api_keys AS key ON key.id = b.api_key_id
WHERE b.id = :batch FOR NO KEY UPDATE OF b
""")
# Of the batches of one key, one at a time.
_LOCK_KEY = text("SELECT pg_advisory_xact_lock(hashtextextended('batches of ' || :key, 0))")
_HELD_BY_KEY = text(f"SELECT {_HELD} FROM batches AS b WHERE b.id = :batch")  # noqa: S608 - a constant
_LOCK_ITEM = text("""
SELECT 1 FROM batch_items WHERE batch_id = :batch AND index = :index AND state = 'waiting' FOR NO KEY UPDATE
""")
_END_ITEM = text("""
UPDATE batch_items SET state = :state, request = NULL, generation_id = :generation,
    is_attached = :is_attached, error_code = :code, error_text = :text
WHERE batch_id = :batch AND index = :index AND state = 'waiting' RETURNING 1
""")
_STOP = text("""
UPDATE batches SET status = 'canceling', error_code = :code
WHERE id = :batch AND status IN ('validating', 'in_progress')
""")
# If its client cancels it, also those that wait for a generation of another request, which goes on.
_CANCEL_ITEMS = text(f"""
WITH due AS (
    SELECT item.index FROM batch_items AS item JOIN batches AS b ON b.id = item.batch_id
    WHERE b.id = :batch AND b.status = 'canceling' AND item.state = 'waiting' ORDER BY item.index LIMIT :limit
), left_alone AS (
    SELECT item.index FROM batch_items AS item JOIN batches AS b ON b.id = item.batch_id
    JOIN generations AS other ON other.id = item.generation_id
    WHERE b.id = :batch AND b.status = 'canceling' AND b.cancel_requested_at IS NOT NULL
        AND item.is_attached AND item.state = 'started' AND other.status NOT IN {TERMINAL}
)
UPDATE batch_items SET state = 'canceled', request = NULL, error_code = b.error_code
FROM batches AS b
WHERE b.id = :batch AND batch_items.batch_id = :batch AND batch_items.state IN ('waiting', 'started')
    AND batch_items.index IN (SELECT index FROM due UNION ALL SELECT index FROM left_alone)
RETURNING 1
""")  # noqa: S608 - a constant
_TO_CANCEL = text(f"""
SELECT id FROM generations WHERE batch_id = :batch AND status NOT IN {TERMINAL}
    AND cancel_requested_at IS NULL AND stage NOT IN ('storing', 'settling') ORDER BY id
""")  # noqa: S608 - a constant
_END = text("""
UPDATE batches SET status = :status, finished_at = now(), total_items = :total, completed_items = :completed,
    failed_items = :failed, canceled_items = :canceled, charged_credits = :charged
WHERE id = :batch
""")
_EVENT = text("SELECT write_event(:tenant, NULL, :type, :data)").bindparams(bindparam("data", type_=JSONB))
_LIST_OPEN = text(f"""
UPDATE batches SET checked_at = now() WHERE id IN (
    SELECT id FROM batches WHERE status NOT IN {TERMINAL} AND checked_at < now() - CAST(:age AS interval)
    ORDER BY checked_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id, tenant_id, status <> 'validating' AS is_validated
""")  # noqa: S608 - a constant


class PostgresBatchRuns:
    """Each step is one transaction, decided by rows that it has locked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look_at_batch(self, batch_id: str) -> BatchLook:
        rows = await self._database.call(_LOOK, {"batch": batch_id})
        if not rows:
            raise BatchNotFound
        return _to_look(rows[0])

    async def list_waiting_items(
        self, batch_id: str, limit: int, *, after: int = -1
    ) -> Sequence[WaitingItem]:
        values = {"batch": batch_id, "limit": limit, "after": after}
        rows = await self._database.call(_LIST_WAITING, values)
        return [
            WaitingItem(row.place, request_from_json(row.request), row.price_credits, row.idempotency_key)
            for row in rows
        ]

    async def begin_item(
        self, batch_id: str, item: WaitingItem, request: GenerationRequest, fingerprint: str
    ) -> Generation | None:
        files = [*request.inputs, *([request.mask] if request.mask else [])]
        async with self._database.begin() as session:
            batch = await _locked(session, batch_id)
            if batch.status != BatchStatus.IN_PROGRESS:
                return None
            # After the lock, with what others have committed before they gave it up.
            if int(await session.scalar(text(_OPEN), {"batch": batch_id}) or 0) >= batch.concurrency:
                return None
            if await session.scalar(_LOCK_ITEM, {"batch": batch_id, "index": item.index}) is None:
                return None
            if not await _fits_cap(session, batch_id, batch, item.price_credits):
                return None
            if files:
                await hold_files(session, files)
            values = generation_values(batch.tenant_id, request) | {
                "idempotency_key": item.idempotency_key,
                "fingerprint": fingerprint,
                "batch_id": batch_id,
            }
            made = (await session.execute(CREATE_GENERATION, values)).first()
            if made is None:  # another request has used the key
                return None
            await session.execute(_END_ITEM, _item_values(batch_id, item.index, ItemState.STARTED, made.id))
            return to_generation(made)

    async def attach_item(self, batch_id: str, index: int, generation_id: str) -> bool:
        values = _item_values(batch_id, index, ItemState.STARTED, generation_id)
        return bool(await self._database.call(_END_ITEM, values | {"is_attached": True}))

    async def fail_item(self, batch_id: str, index: int, code: str, text: str | None) -> bool:
        values = _item_values(batch_id, index, ItemState.FAILED, None)
        return bool(await self._database.call(_END_ITEM, values | {"code": code, "text": text}))

    async def stop_batch(self, batch_id: str, code: str) -> None:
        await self._database.call(_STOP, {"batch": batch_id, "code": code})

    async def cancel_items(self, batch_id: str, limit: int) -> int:
        return len(await self._database.call(_CANCEL_ITEMS, {"batch": batch_id, "limit": limit}))

    async def list_generations_to_cancel(self, batch_id: str) -> Sequence[str]:
        return [row.id for row in await self._database.call(_TO_CANCEL, {"batch": batch_id})]

    async def end_batch(self, batch_id: str) -> Batch | None:
        async with self._database.begin() as session:
            locked = await _locked(session, batch_id)
            if locked.status not in (BatchStatus.IN_PROGRESS, BatchStatus.CANCELING):
                return None
            counts = (await read_batch(session, batch_id)).counts
            if counts.waiting or counts.in_progress:
                return None
            is_canceled = locked.status == BatchStatus.CANCELING
            status = BatchStatus.CANCELED if is_canceled else BatchStatus.COMPLETED
            return await write_end(session, batch_id, status)

    async def list_open_batches(self, older_than: timedelta, limit: int) -> Sequence[BatchInput]:
        rows = await self._database.call(_LIST_OPEN, {"age": older_than, "limit": limit})
        return [BatchInput(row.id, row.tenant_id, row.is_validated) for row in rows]


async def write_end(session: AsyncSession, batch_id: str, status: BatchStatus) -> Batch:
    """End a batch whose row is locked, with its final counts and its summary event; return it."""
    last = await read_batch(session, batch_id)
    counts = last.counts
    numbers = {
        "total": counts.total,
        "completed": counts.completed,
        "failed": counts.failed,
        "canceled": counts.canceled,
    }
    charged = last.charged_credits
    await session.execute(_END, {"batch": batch_id, "status": status, "charged": charged, **numbers})
    facts = {
        "batch_id": batch_id,
        "status": status,
        "error_code": last.error_code,
        **numbers,
        "price_credits": last.price_credits,
        "charged_credits": charged,
    }
    await session.execute(_EVENT, {"tenant": last.tenant_id, "type": f"batch.{status}", "data": facts})
    return await read_batch(session, batch_id)


async def _locked(session: AsyncSession, batch_id: str) -> Row[Any]:
    row = (await session.execute(_LOCK, {"batch": batch_id})).first()
    if row is None:
        raise BatchNotFound
    return row


async def _fits_cap(session: AsyncSession, batch_id: str, batch: Row[Any], price_credits: int) -> bool:
    """Return whether the key may have one more of this price held, or nothing has to end before it."""
    if batch.max_held_credits is None:
        return True
    await session.execute(_LOCK_KEY, {"key": batch.api_key_id})
    # After the lock, with what another batch has just begun.
    held_credits = int(await session.scalar(_HELD_BY_KEY, {"batch": batch_id}) or 0)
    return held_credits == 0 or held_credits + price_credits <= batch.max_held_credits


def _item_values(batch_id: str, index: int, state: ItemState, generation_id: str | None) -> dict[str, Any]:
    return {
        "batch": batch_id,
        "index": index,
        "state": state,
        "generation": generation_id,
        "is_attached": False,
        "code": None,
        "text": None,
    }


def _to_look(row: Row[Any]) -> BatchLook:
    stop_code = row.error_code
    if row.is_suspended:
        stop_code = TenantSuspended.code
    elif row.is_key_over:
        stop_code = KeyNotValid.code
    return BatchLook(
        tenant_id=row.tenant_id,
        api_key_id=row.api_key_id,
        status=BatchStatus(row.status),
        concurrency=row.concurrency,
        stop_code=stop_code,
        is_cancel_requested=row.is_cancel_requested,
        has_waiting=row.has_waiting,
        open_generations=row.open_generations,
        tenant_limits=row.limits,
        held_credits=int(row.held_credits),
        max_held_credits=row.max_held_credits,
        running_batches=row.running_batches,
    )
