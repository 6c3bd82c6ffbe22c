"""Batches as clients see them: created, read, listed, canceled."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from adapters.database.batch_mapping import read_batch, read_batches, request_to_json, to_batch
from adapters.database.engine import Database
from adapters.database.ids import new_id
from adapters.database.tables import BatchRow, TenantRow
from adapters.database.tables.columns import NO_KEY_UPDATE, TERMINAL
from adapters.database.tables.mapping import images_from_json, read_generations, to_generation
from domain.batches import (
    FILE_CONTENT_TYPE,
    Batch,
    BatchDraft,
    BatchItem,
    BatchItemDraft,
    BatchStatus,
    ItemState,
    ItemStatus,
)
from domain.errors import (
    BatchNotFound,
    DatabaseUnavailable,
    FileNotFound,
    OutcomeUnknown,
    TooLateToCancel,
    TooManyOpenBatches,
)
from domain.generation import Generation

# For the files that its items name, and the file of the items themselves.
_USED_LIFETIME = timedelta(days=7)
_READ_OF = read_batches("b.id = :batch AND b.tenant_id = :tenant")
_READ_BY_KEY = read_batches("b.tenant_id = :tenant AND b.idempotency_key = :key")
_LIST = read_batches("""
    b.tenant_id = :tenant AND (CAST(:after AS text) IS NULL OR b.id < :after)
    AND (CAST(:status AS text) IS NULL OR b.status = :status) ORDER BY b.id DESC LIMIT :limit
""")
_OPEN = text(f"SELECT count(*) FROM batches WHERE tenant_id = :tenant AND status NOT IN {TERMINAL}")  # noqa: S608
_HOLD_FILE = text("""
UPDATE input_files SET expires_at = greatest(expires_at, now() + CAST(:lifetime AS interval))
WHERE id = :file AND tenant_id = :tenant AND expires_at > now() AND content_type = :type RETURNING id
""")
_ADD_ITEMS = insert(SQLModel.metadata.tables["batch_items"]).on_conflict_do_nothing(
    index_elements=["batch_id", "index"]
)
_EXTEND_FILES = text("""
UPDATE input_files SET expires_at = greatest(expires_at, now() + CAST(:lifetime AS interval))
WHERE id IN (SELECT unnest(CAST(:files AS text[])) ORDER BY 1) AND tenant_id = :tenant AND expires_at > now()
""")
# As domain/batches.py has it: item_status.
_ITEM_STATUS = f"""CASE WHEN item.state <> 'started' THEN item.state
    WHEN made.status IN {TERMINAL} THEN made.status ELSE 'in_progress' END"""
_LIST_ITEMS = text(f"""
SELECT item.index AS place, item.custom_id, item.state, item.price_credits, item.idempotency_key,
    item.generation_id, item.is_attached, item.error_code, item.error_text
FROM batch_items AS item LEFT JOIN generations AS made ON made.id = item.generation_id
WHERE item.batch_id = :batch AND item.index > :after
    AND (CAST(:status AS text) IS NULL OR {_ITEM_STATUS} = :status)
ORDER BY item.index LIMIT :limit
""")  # noqa: S608 - constants
_GENERATIONS = read_generations("generations.id = ANY (CAST(:ids AS text[]))")
_OWNER = text("SELECT tenant_id FROM batches WHERE id = :batch")
_LOCK = text("SELECT status FROM batches WHERE id = :batch FOR NO KEY UPDATE")
_CANCEL = text(f"""
UPDATE batches SET status = 'canceling', cancel_requested_at = coalesce(cancel_requested_at, now())
WHERE id = :batch AND status NOT IN {TERMINAL}
""")  # noqa: S608 - a constant


class PostgresBatches:
    """The rows of batches and of their items."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_batch(
        self, draft: BatchDraft, key: str | None, fingerprint: str, *, max_open: int
    ) -> tuple[Batch, bool]:
        batch_id = new_id("bat")
        try:
            async with self._database.begin() as session:
                existing = await _begin(session, draft, key, max_open)
                if existing is not None:
                    return existing, False
                values = _values(batch_id, draft) | {"idempotency_key": key, "fingerprint": fingerprint}
                await session.execute(insert(BatchRow).values(**values))
                await add_items(session, batch_id, draft.tenant_id, draft.items)
                return await read_batch(session, batch_id), True
        except DatabaseUnavailable as error:
            if not error.may_be_committed:
                raise
            raise OutcomeUnknown(generation_id=batch_id, is_repeatable=key is not None) from error

    async def find_batch_by_key(self, tenant_id: str, key: str) -> tuple[Batch, str] | None:
        found = await self._database.call(_READ_BY_KEY, {"tenant": tenant_id, "key": key})
        return (to_batch(found[0]), found[0].fingerprint) if found else None

    async def get_batch_of(self, tenant_id: str, batch_id: str) -> Batch:
        # Another tenant's row is not even read, so that the time does not tell that it is there.
        found = await self._database.call(_READ_OF, {"batch": batch_id, "tenant": tenant_id})
        if not found:
            raise BatchNotFound
        return to_batch(found[0])

    async def list_batches(
        self, tenant_id: str, *, after: str | None, limit: int, status: BatchStatus | None = None
    ) -> Sequence[Batch]:
        values = {"tenant": tenant_id, "after": after, "limit": limit, "status": status}
        return [to_batch(row) for row in await self._database.call(_LIST, values)]

    async def list_batch_items(
        self,
        tenant_id: str,
        batch_id: str,
        *,
        after: int | None,
        limit: int,
        status: ItemStatus | None = None,
    ) -> Sequence[BatchItem]:
        values = {
            "batch": batch_id,
            "after": -1 if after is None else after,
            "limit": limit,
            "status": status,
        }
        async with self._database.begin() as session:
            if await session.scalar(_OWNER, {"batch": batch_id}) != tenant_id:
                raise BatchNotFound
            rows = (await session.execute(_LIST_ITEMS, values)).all()
            ids = [row.generation_id for row in rows if row.generation_id is not None]
            made = (await session.execute(_GENERATIONS, {"ids": ids})).all() if ids else ()
        generations = {row.id: to_generation(row, images_from_json(row.images)) for row in made}
        return [_item(batch_id, row, generations.get(row.generation_id)) for row in rows]

    async def record_batch_cancel(self, tenant_id: str, batch_id: str) -> Batch:
        async with self._database.begin() as session:
            # Before the lock: another tenant must not wait for it, nor learn that there is one.
            if await session.scalar(_OWNER, {"batch": batch_id}) != tenant_id:
                raise BatchNotFound
            status = BatchStatus(await session.scalar(_LOCK, {"batch": batch_id}))
            if status.is_terminal and status is not BatchStatus.CANCELED:
                raise TooLateToCancel
            await session.execute(_CANCEL, {"batch": batch_id})
            return await read_batch(session, batch_id)


async def _begin(session: AsyncSession, draft: BatchDraft, key: str | None, max_open: int) -> Batch | None:
    """Let one request of a tenant at a time look what there is; return the batch that the key already has."""
    await session.get(TenantRow, draft.tenant_id, with_for_update=NO_KEY_UPDATE)
    if key is not None:
        found = (await session.execute(_READ_BY_KEY, {"tenant": draft.tenant_id, "key": key})).all()
        if found:
            return to_batch(found[0])
    if int(await session.scalar(_OPEN, {"tenant": draft.tenant_id}) or 0) >= max_open:
        raise TooManyOpenBatches(f"at most {max_open} batches at once")
    if draft.input_file_id is not None:
        values = {
            "file": draft.input_file_id,
            "tenant": draft.tenant_id,
            "lifetime": _USED_LIFETIME,
            "type": FILE_CONTENT_TYPE,
        }
        if await session.scalar(_HOLD_FILE, values) is None:
            raise FileNotFound
    return None


def _values(batch_id: str, draft: BatchDraft) -> dict[str, Any]:
    has_file = draft.input_file_id is not None
    return {
        "id": batch_id,
        "tenant_id": draft.tenant_id,
        "api_key_id": draft.api_key_id,
        "status": BatchStatus.VALIDATING if has_file else BatchStatus.IN_PROGRESS,
        "input_file_id": draft.input_file_id,
        "endpoint": draft.endpoint,
        "client_metadata": dict(draft.metadata),
        "concurrency": draft.concurrency,
        "max_cost": draft.max_cost,
        "price_credits": draft.price_credits,
        "started_at": None if has_file else func.now(),
    }


async def add_items(
    session: AsyncSession, batch_id: str, tenant_id: str, items: Sequence[BatchItemDraft]
) -> None:
    """Store items, and let the files live on that they name. Those that are stored stay as they are."""
    if not items:
        return
    rows = [
        {
            "batch_id": batch_id,
            "index": item.index,
            "custom_id": item.custom_id,
            "request": request_to_json(item.request),
            "price_credits": item.price_credits,
            "idempotency_key": item.idempotency_key,
            "state": ItemState.WAITING,
        }
        for item in items
    ]
    await session.execute(_ADD_ITEMS, rows)
    named = {file for item in items for file in (*item.request.inputs, item.request.mask) if file is not None}
    if named:
        values = {"files": sorted(named), "tenant": tenant_id, "lifetime": _USED_LIFETIME}
        await session.execute(_EXTEND_FILES, values)


def _item(batch_id: str, row: Any, generation: Generation | None) -> BatchItem:
    return BatchItem(
        batch_id=batch_id,
        index=row.place,
        custom_id=row.custom_id,
        state=ItemState(row.state),
        price_credits=row.price_credits,
        idempotency_key=row.idempotency_key,
        generation=generation,
        is_attached=row.is_attached,
        error_code=row.error_code,
        error_text=row.error_text,
    )
