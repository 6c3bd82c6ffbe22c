"""Copies of stored images, which lie on our disk for as long as their clients read them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from api.services.tenant_limits import TenantConcurrencyLimiter
from domain.errors import Overloaded
from domain.ports import ObjectStore

# With images of 50 MB, 3.2 GB in all.
_MAX_COPIES, _MAX_COPIES_PER_TENANT = 64, 4
_WAIT_SECONDS = 30.0


class ImageCopies:
    """A few copies of each tenant, and so many of all; other requests wait. Slow readers fill no disk."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        max_copies: int = _MAX_COPIES,
        max_per_tenant: int = _MAX_COPIES_PER_TENANT,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._wait_seconds = wait_seconds
        self._turns = TenantConcurrencyLimiter(max_per_tenant, wait_seconds)
        self._free = asyncio.Semaphore(max_copies)

    @asynccontextmanager
    async def open_copy(
        self, tenant_id: str, key: str, waiting: AbstractAsyncContextManager[None] | None = None
    ) -> AsyncIterator[Path]:
        """Copy an object and yield where it is. waiting: entered for a wait for the tenant's turn.

        Raises HTTPException 429 if the tenant has too many copies for too long, Overloaded if all have,
        StorageUnavailable.
        """
        async with self._turns.limit(tenant_id, waiting):
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await self._free.acquire()
            except TimeoutError as error:
                raise Overloaded from error
            try:
                async with self._store.open_object(key) as path:
                    yield path
            finally:
                self._free.release()
