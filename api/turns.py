"""How much one tenant may do at once, so that it cannot take what all share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from weakref import WeakValueDictionary

from starlette.exceptions import HTTPException


class Turns:
    """Lets a few of each tenant's requests go on at once; the others wait, but not for long."""

    def __init__(self, at_once: int, wait_seconds: float) -> None:
        self._at_once = at_once
        self._wait_seconds = wait_seconds
        # A tenant is forgotten with the last of its requests that holds a turn or waits for one.
        self._tenants: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, tenant_id: str) -> AsyncIterator[None]:
        """Raises HTTPException 429 where the wait is over before the turn comes."""
        turns = self._tenants.setdefault(tenant_id, asyncio.Semaphore(self._at_once))
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turns.acquire()
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"}) from error
        try:
            yield
        finally:
            turns.release()
