"""A few places for many tenants, who are served in turn."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from domain.errors import TooManyAtOnce


@dataclass
class _Tenant:
    """running: places it holds. since: when its last place became free, or when it came."""

    since: int
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class FairQueue:
    """Grants places. The next one goes to the tenant that holds the fewest, then to who waits the longest.

    A tenant never holds all of them, unless there is only one. So a newcomer finds one free beside a tenant
    that has sent a thousand; beside several, it is behind what runs and nothing else.
    """

    def __init__(self, places: int, *, max_waiting: int, wait_seconds: float) -> None:
        """max_waiting: requests of one tenant."""
        self._free = places
        self._max_running = max(1, places - 1)
        self._max_waiting = max_waiting
        self._wait_seconds = wait_seconds
        # Only tenants that hold a place or wait for one.
        self._tenants: dict[str, _Tenant] = {}
        self._moments = count()

    async def enter(self, tenant_id: str) -> None:
        """Wait for a place; `leave` gives it back.

        Raises TooManyAtOnce if too many of the tenant wait, or none became free in time.
        """
        tenant = self._tenants.setdefault(tenant_id, _Tenant(next(self._moments)))
        if len(tenant.waiting) >= self._max_waiting:
            raise TooManyAtOnce(f"{self._max_waiting} images of the tenant wait")
        turn = asyncio.get_running_loop().create_future()
        tenant.waiting.append(turn)
        self._grant()
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except BaseException as error:
            self._give_up(tenant_id, tenant, turn)
            if isinstance(error, TimeoutError):
                raise TooManyAtOnce(f"no image was decoded within {self._wait_seconds:g} s") from error
            raise

    def leave(self, tenant_id: str) -> None:
        """Give a place back."""
        tenant = self._tenants[tenant_id]
        tenant.running -= 1
        tenant.since = next(self._moments)
        self._free += 1
        self._grant()
        self._forget(tenant_id)

    def _grant(self) -> None:
        while self._free:
            tenants = self._tenants.values()
            entitled = [each for each in tenants if each.waiting and each.running < self._max_running]
            if not entitled:
                return
            chosen = min(entitled, key=lambda tenant: (tenant.running, tenant.since))
            turn = chosen.waiting.popleft()
            if turn.done():  # its request has gone away
                continue
            turn.set_result(None)
            chosen.running += 1
            self._free -= 1

    def _give_up(self, tenant_id: str, tenant: _Tenant, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():  # it came at the very moment
            self.leave(tenant_id)
            return
        if turn in tenant.waiting:
            tenant.waiting.remove(turn)
        self._forget(tenant_id)

    def _forget(self, tenant_id: str) -> None:
        tenant = self._tenants.get(tenant_id)
        if tenant is not None and not tenant.running and not tenant.waiting:
            del self._tenants[tenant_id]
