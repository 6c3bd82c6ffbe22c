"""Turns of tenants on what all share: many at once for one that is alone, few while others are there.

Whoever comes second finds few requests of the first in progress, and so waits little, whatever the first has
sent. A tenant that was seen a moment ago counts as there: it will find the same again. And since a request
leaves work behind, a tenant with many that wait rests between them.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType

from starlette.exceptions import HTTPException

_RECENT_SECONDS = 60.0
_MAX_TENANTS = 10_000
# Who sends at a pace, or a few at once, has no more waiting than this.
_FEW_WAITING = 8
_MAX_REST_SECONDS = 1.0
# Of the time that is left to those who wait.
_USABLE_TIME = 0.8
_NO_RESTS: Mapping[str, float] = MappingProxyType({})


@dataclass
class _Waiter:
    """until: when it is refused."""

    turn: asyncio.Future[None]
    until: float


@dataclass
class _Lane:
    """Requests of one kind of one tenant. begun_at: the last turn. rested_at: when the last rest is over."""

    running: int = 0
    waiting: deque[_Waiter] = field(default_factory=deque)
    begun_at: float = 0.0
    rested_at: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Turn:
    """A request's turn. Ends once, however often that is said."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def end(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()


class FairTurns:
    """Lets requests run at once, counted by tenant and lane; the others wait in their order.

    alone: at once, of a lane of a tenant that was the only one in the last minute. shared: of each else.
    hold_seconds: a turn that lasts, because what it waits for is slow, holds up its tenant's next no longer.
    rests: by lane, how many times as long as a turn a tenant of which many wait rests after it, while others
    are there; less where the last that waits would not get its turn in time.
    """

    def __init__(
        self,
        *,
        alone: int,
        shared: int,
        wait_seconds: float,
        hold_seconds: float = 0.25,
        rests: Mapping[str, float] = _NO_RESTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alone = alone
        self._shared = min(shared, alone)
        self._wait_seconds = wait_seconds
        self._hold_seconds = hold_seconds
        self._rests = rests
        self._clock = clock
        self._lanes: dict[tuple[str, str], _Lane] = {}
        # When each tenant was seen last, in that order.
        self._seen: OrderedDict[str, float] = OrderedDict()

    @asynccontextmanager
    async def limit(
        self, tenant_id: str, lane_name: str = "", waiting: AbstractAsyncContextManager[None] | None = None
    ) -> AsyncIterator[Turn]:
        """Hold a turn for the block, or until it is ended.

        Raises HTTPException 429 if the wait is too long. waiting: entered for a wait, if there is one.
        """
        self._note(tenant_id)
        key = (tenant_id, lane_name)
        lane = self._lanes.setdefault(key, _Lane())
        if lane.waiting or self._seconds_until_next(lane) > 0:
            await self._wait(key, lane, waiting or nullcontext())
        else:
            self._begin(lane)
        begun_at = self._clock()
        turn = Turn(lambda: self._end(key, lane, begun_at))
        try:
            yield turn
        finally:
            turn.end()

    async def _wait(
        self, key: tuple[str, str], lane: _Lane, waiting: AbstractAsyncContextManager[None]
    ) -> None:
        """Wait for a turn; whoever gives it counts it as running."""
        waiter = _Waiter(asyncio.get_running_loop().create_future(), self._clock() + self._wait_seconds)
        lane.waiting.append(waiter)
        self._wake(key, lane)
        try:
            async with asyncio.timeout(self._wait_seconds), waiting:
                await waiter.turn
        except BaseException as error:
            if waiter.turn.done() and not waiter.turn.cancelled():
                lane.running -= 1  # it was given at the same moment
            elif waiter in lane.waiting:
                lane.waiting.remove(waiter)
            self._wake(key, lane)
            if isinstance(error, TimeoutError):
                raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"}) from error
            raise

    def _begin(self, lane: _Lane) -> None:
        lane.running += 1
        lane.begun_at = self._clock()

    def _end(self, key: tuple[str, str], lane: _Lane, begun_at: float) -> None:
        lane.running -= 1
        now = self._clock()
        rest = self._rests.get(key[1], 0.0) if len(lane.waiting) > _FEW_WAITING else 0.0
        lane.rested_at = now + min(rest * (now - begun_at), _MAX_REST_SECONDS)
        self._wake(key, lane)

    def _wake(self, key: tuple[str, str], lane: _Lane) -> None:
        """Give turns to those who wait as long as there are any, and look again when there is the next."""
        while lane.waiting and self._seconds_until_next(lane) <= 0:
            turn = lane.waiting.popleft().turn
            if not turn.done():
                self._begin(lane)
                turn.set_result(None)
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        if lane.waiting:
            # At least a moment: a clock that is coarser than the loop's must not keep it busy.
            seconds = max(self._seconds_until_next(lane), 0.001)
            lane.timer = asyncio.get_running_loop().call_later(seconds, self._wake, key, lane)
        elif not lane.running:
            self._lanes.pop(key, None)

    def _seconds_until_next(self, lane: _Lane) -> float:
        """Return 0 or less where a turn may begin now. The end of another may bring it forward."""
        now = self._clock()
        self._forget(now)
        if lane.running >= self._alone:
            return _MAX_REST_SECONDS
        if len(self._seen) <= 1:
            return 0.0
        in_time = lane.begun_at + self._longest_pause(lane, now) - now
        if lane.running >= self._shared:
            return min(lane.begun_at + self._hold_seconds - now, in_time)
        return min(lane.rested_at - now, in_time)

    def _longest_pause(self, lane: _Lane, now: float) -> float:
        """Return after how long the next must begin, so that the last that waits gets its turn in time."""
        if not lane.waiting:
            return _MAX_REST_SECONDS
        left = (lane.waiting[-1].until - now) * _USABLE_TIME
        return left / len(lane.waiting)

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
