"""Whether what the API depends on is reachable."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from domain.errors import ServiceError

_TIMEOUT_SECONDS = 1.5
_MAX_AGE_SECONDS = 1.0


class Readiness:
    """Named checks. Only the database is essential: without the others the API goes on accepting."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], Awaitable[bool]]],
        *,
        essential: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._essential = essential
        self._clock = clock
        self._lock = asyncio.Lock()
        self._checked_at = 0.0
        self._last: tuple[bool, dict[str, str]] | None = None

    async def check_all(self) -> tuple[bool, dict[str, str]]:
        """Return whether requests can be served, and `ok` or `down` by name, as of the last check.

        However many ask, one check runs at a time, at most every second. Only for the first one do others
        wait: whatever hangs, it keeps nobody here.
        """
        if self._last is not None and self._lock.locked():
            return self._last
        async with self._lock:
            if self._last is None or self._clock() - self._checked_at >= _MAX_AGE_SECONDS:
                self._last = await self._check_now()
                self._checked_at = self._clock()
            return self._last

    async def _check_now(self) -> tuple[bool, dict[str, str]]:
        names = list(self._checks)
        found = await asyncio.gather(*(_passes(self._checks[name]) for name in names))
        states = {name: "ok" if passed else "down" for name, passed in zip(names, found, strict=True)}
        return states[self._essential] == "ok", states


async def _passes(check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await check()
    except (ServiceError, TimeoutError):
        return False
