"""How much one tenant may do at once, so that it cannot exhaust what all share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from http import HTTPStatus
from weakref import WeakValueDictionary

from starlette.exceptions import HTTPException


class TenantConcurrencyLimiter:
    """Lets a few requests of each tenant run at once; the others wait, up to a limit."""

    def __init__(self, max_concurrent: int, wait_seconds: float) -> None:
        self._max_concurrent = max_concurrent
        self._wait_seconds = wait_seconds
        # A tenant is dropped with the last of its requests that runs or waits.
        self._tenants: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def limit(
        self, tenant_id: str, waiting: AbstractAsyncContextManager[None] | None = None
    ) -> AsyncIterator[None]:
        """Raises HTTPException 429 if the wait is too long. waiting: entered for a wait, if there is one."""
        semaphore = self._tenants.setdefault(tenant_id, asyncio.Semaphore(self._max_concurrent))
        around = waiting if waiting is not None and semaphore.locked() else nullcontext()
        try:
            async with asyncio.timeout(self._wait_seconds), around:
                await semaphore.acquire()
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"}) from error
        try:
            yield
        finally:
            semaphore.release()
