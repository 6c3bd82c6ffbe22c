"""What the check of a batch's file changes: its items one chunk after the other, then the batch."""

from collections.abc import Sequence

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.batch_runs import write_end
from adapters.database.client_batches import add_items
from adapters.database.engine import Database
from domain.batch_runs import BatchFile
from domain.batches import MAX_LINE_ERRORS, Batch, BatchItemDraft, BatchStatus, LineError
from domain.errors import FileNotFound

_FILE = text("""
SELECT b.tenant_id, b.api_key_id, b.endpoint, b.max_cost, file.key, api_keys.monthly_budget_credits,
    EXISTS (SELECT FROM webhook_endpoints
        WHERE tenant_id = b.tenant_id AND url IS NULL AND deleted_at IS NULL) AS signs_webhooks
FROM batches AS b LEFT JOIN input_files AS file ON file.id = b.input_file_id
LEFT JOIN api_keys ON api_keys.id = b.api_key_id
WHERE b.id = :batch AND b.status = 'validating'
""")
_LOCK = text("SELECT tenant_id FROM batches WHERE id = :batch AND status = 'validating' FOR NO KEY UPDATE")
_ACCEPT = text("""
UPDATE batches SET status = 'in_progress', started_at = now(), price_credits = :price
WHERE id = :batch AND status = 'validating'
""")
_DELETE_ITEMS = text("DELETE FROM batch_items WHERE batch_id = :batch")
_REFUSE = text("""
UPDATE batches SET error_code = :code, errors = :errors, error_count = :count, price_credits = :price
WHERE id = :batch
""").bindparams(bindparam("errors", type_=JSONB))


class PostgresBatchFiles:
    """Changes only a batch that is validated: whoever comes late, or after a cancel, changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_file_to_check(self, batch_id: str) -> BatchFile | None:
        rows = await self._database.call(_FILE, {"batch": batch_id})
        if not rows:
            return None
        [row] = rows
        if row.key is None:
            raise FileNotFound
        return BatchFile(
            row.tenant_id,
            row.api_key_id,
            row.key,
            row.endpoint,
            row.max_cost,
            row.monthly_budget_credits,
            row.signs_webhooks,
        )

    async def add_items(self, batch_id: str, items: Sequence[BatchItemDraft]) -> bool:
        async with self._database.begin() as session:
            tenant_id = await _locked_tenant(session, batch_id)
            if tenant_id is None:
                return False
            await add_items(session, batch_id, tenant_id, items)
            return True

    async def accept_file(self, batch_id: str, price_credits: int) -> None:
        await self._database.call(_ACCEPT, {"batch": batch_id, "price": price_credits})

    async def refuse_file(
        self,
        batch_id: str,
        code: str,
        errors: Sequence[LineError] = (),
        error_count: int = 0,
        price_credits: int = 0,
    ) -> Batch | None:
        async with self._database.begin() as session:
            if await _locked_tenant(session, batch_id) is None:
                return None
            kept = [[each.line, each.code, each.field, each.text] for each in errors[:MAX_LINE_ERRORS]]
            values = {
                "batch": batch_id,
                "code": code,
                "errors": kept,
                "count": error_count,
                "price": price_credits,
            }
            await session.execute(_REFUSE, values)
            await session.execute(_DELETE_ITEMS, {"batch": batch_id})
            return await write_end(session, batch_id, BatchStatus.FAILED)


async def _locked_tenant(session: AsyncSession, batch_id: str) -> str | None:
    """Lock a batch that is validated, and return its tenant; None for any other."""
    tenant_id: str | None = await session.scalar(_LOCK, {"batch": batch_id})
    return tenant_id
