"""Whether what the API depends on is reachable."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from domain.errors import ServiceError

_TIMEOUT_SECONDS = 1.5


class Readiness:
    """Named checks. Only the database is essential: without the others the API goes on accepting."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[bool]]], *, essential: str) -> None:
        self._checks = checks
        self._essential = essential

    async def check_all(self) -> tuple[bool, dict[str, str]]:
        """Return whether requests can be served, and `ok` or `down` by name."""
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
