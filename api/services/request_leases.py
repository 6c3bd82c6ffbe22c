"""The connections of this process that wait for jobs, as the other processes see them.

Each has a lease in the database, renewed for all of them at once; so those of a process that was killed count
as ended soon after. What TCP has taken may still be lost on its way: a connection has its answer once it
was open for a moment after the last byte, or once the next request came on it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from domain.errors import DatabaseUnavailable
from domain.ports import ImageRequests

_log = logging.getLogger("darkroom.api")
_TICK_SECONDS = 0.2
# A third of a lease (adapters/database/image_requests.py).
_RENEW_SECONDS = 2.0
_SETTLE_SECONDS = 1.0
_FORGET_SECONDS = 60.0
_STOP_SECONDS = 5.0


class Connection(Protocol):
    """Where a request came from."""

    @property
    def is_gone(self) -> bool: ...


class RequestLease:
    """One connection that waits for a job."""

    def __init__(self, connection_id: str, connection: Connection) -> None:
        self.connection_id = connection_id
        self._connection = connection
        self._sent_at: float | None = None
        self._is_over = False

    def mark_sent(self) -> None:
        """Say that the whole answer was handed to the connection."""
        self._sent_at = asyncio.get_running_loop().time()

    def end(self) -> None:
        """Say that no answer will be sent; nothing, if one was."""
        self._is_over = self._sent_at is None

    @property
    def has_ended(self) -> bool:
        return self._is_over or self._connection.is_gone

    def is_answered(self, now: float) -> bool:
        return not self.has_ended and self._sent_at is not None and now - self._sent_at >= _SETTLE_SECONDS


class RequestLeases:
    """Renews, ends and closes the leases of this process, in a task of its own."""

    def __init__(self, requests: ImageRequests) -> None:
        self._requests = requests
        self._leases: dict[str, RequestLease] = {}
        self._is_any = asyncio.Event()
        self._renewed_at = self._forgot_at = 0.0

    def hold(self, connection_id: str, connection: Connection) -> RequestLease:
        """Renew the lease of a connection from now on."""
        lease = self._leases[connection_id] = RequestLease(connection_id, connection)
        self._is_any.set()
        return lease

    async def run(self) -> None:
        """Run until canceled; then end what is left."""
        try:
            while True:
                await self._is_any.wait()
                await asyncio.sleep(_TICK_SECONDS)
                await self._tick(asyncio.get_running_loop().time())
        finally:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._apply(self._requests.end, list(self._leases))

    async def _tick(self, now: float) -> None:
        ended = [key for key, lease in self._leases.items() if lease.has_ended]
        answered = [key for key, lease in self._leases.items() if lease.is_answered(now)]
        for change, keys in ((self._requests.end, ended), (self._requests.mark_answered, answered)):
            if await self._apply(change, keys):
                for key in keys:
                    del self._leases[key]
        if now - self._renewed_at >= _RENEW_SECONDS:
            self._renewed_at = now
            await self._apply(self._requests.renew, list(self._leases))
        if now - self._forgot_at >= _FORGET_SECONDS and await self._forget():
            self._forgot_at = now
        if not self._leases:
            self._is_any.clear()

    async def _apply(self, change: Callable[[Sequence[str]], Awaitable[None]], keys: Sequence[str]) -> bool:
        """Change these rows; False if the database is away, and they are to be changed later."""
        if not keys:
            return True
        try:
            await change(keys)
        except DatabaseUnavailable:
            _log.warning("the leases of %d waiting requests could not be written", len(keys))
            return False
        except Exception:  # noqa: BLE001 - whatever it is, the leases of all that wait are renewed on
            _log.exception("the leases of %d waiting requests could not be written", len(keys))
            return False
        return True

    async def _forget(self) -> bool:
        try:
            await self._requests.forget_old()
        except DatabaseUnavailable:
            return False
        except Exception:  # noqa: BLE001 - as above
            _log.exception("old requests could not be forgotten")
            return False
        return True
