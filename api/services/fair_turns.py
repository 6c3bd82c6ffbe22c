"""Turns of tenants on what all share: many at once for one that is alone, few while others are there.

Whoever comes second finds few requests of the first in progress, and so waits little, whatever the first has
sent. A tenant that was seen a moment ago counts as there: it will find the same again.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.exceptions import HTTPException

_RECENT_SECONDS = 10.0
_MAX_TENANTS = 10_000


@dataclass
class _Lane:
    """Requests of one kind of one tenant."""

    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class FairTurns:
    """Lets requests run at once, counted by tenant and lane; the others wait in their order.

    alone: at once, of a lane of a tenant that was the only one in the last 10 seconds. shared: of each else.
    """

    def __init__(
        self, *, alone: int, shared: int, wait_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._alone = alone
        self._shared = min(shared, alone)
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._lanes: dict[tuple[str, str], _Lane] = {}
        # When each tenant was seen last, in that order.
        self._seen: OrderedDict[str, float] = OrderedDict()

    @asynccontextmanager
    async def limit(
        self, tenant_id: str, lane_name: str = "", waiting: AbstractAsyncContextManager[None] | None = None
    ) -> AsyncIterator[None]:
        """Raises HTTPException 429 if the wait is too long. waiting: entered for a wait, if there is one."""
        self._note(tenant_id)
        key = (tenant_id, lane_name)
        lane = self._lanes.setdefault(key, _Lane())
        if lane.waiting or lane.running >= self._maximum():
            await self._wait(key, lane, waiting or nullcontext())
        else:
            lane.running += 1
        try:
            yield
        finally:
            lane.running -= 1
            self._wake(key, lane)

    async def _wait(
        self, key: tuple[str, str], lane: _Lane, waiting: AbstractAsyncContextManager[None]
    ) -> None:
        """Wait for a turn; whoever gives it counts it as running."""
        turn = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds), waiting:
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                lane.running -= 1  # it was given at the same moment
            elif turn in lane.waiting:
                lane.waiting.remove(turn)
            self._wake(key, lane)
            if isinstance(error, TimeoutError):
                raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"}) from error
            raise

    def _wake(self, key: tuple[str, str], lane: _Lane) -> None:
        while lane.waiting and lane.running < self._maximum():
            turn = lane.waiting.popleft()
            if not turn.done():
                lane.running += 1
                turn.set_result(None)
        if not lane.running and not lane.waiting:
            self._lanes.pop(key, None)

    def _maximum(self) -> int:
        self._forget(self._clock())
        return self._alone if len(self._seen) <= 1 else self._shared

    def _note(self, tenant_id: str) -> None:
        now = self._clock()
        self._seen[tenant_id] = now
        self._seen.move_to_end(tenant_id)
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._seen:
            tenant_id, seen_at = next(iter(self._seen.items()))
            if now - seen_at < _RECENT_SECONDS and len(self._seen) <= _MAX_TENANTS:
                return
            del self._seen[tenant_id]
