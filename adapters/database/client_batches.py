"""Batches as clients see them: created, read, listed, canceled."""

from collections.abc import Sequence

from adapters.database.engine import Database
from domain.batches import Batch, BatchDraft, BatchItem, BatchStatus, ItemStatus


class PostgresBatches:
    """The rows of batches and of their items."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_batch(
        self, draft: BatchDraft, key: str | None, fingerprint: str, *, max_open: int
    ) -> tuple[Batch, bool]:
        raise NotImplementedError

    async def find_batch_by_key(self, tenant_id: str, key: str) -> tuple[Batch, str] | None:
        raise NotImplementedError

    async def get_batch_of(self, tenant_id: str, batch_id: str) -> Batch:
        raise NotImplementedError

    async def list_batches(
        self, tenant_id: str, *, after: str | None, limit: int, status: BatchStatus | None = None
    ) -> Sequence[Batch]:
        raise NotImplementedError

    async def list_batch_items(
        self,
        tenant_id: str,
        batch_id: str,
        *,
        after: int | None,
        limit: int,
        status: ItemStatus | None = None,
    ) -> Sequence[BatchItem]:
        raise NotImplementedError

    async def record_batch_cancel(self, tenant_id: str, batch_id: str) -> Batch:
        raise NotImplementedError
