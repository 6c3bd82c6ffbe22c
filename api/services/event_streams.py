"""Streams of events: what is in the log first, then what comes, without a gap and in order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from api.services.event_feed import EventFeed, EventsDropped, Subscription
from api.services.key_watch import KeyWatch
from api.services.tenant_limits import TenantConcurrencyLimiter
from domain.errors import EventsExpired
from domain.events import Event, EventPosition, EventType
from domain.ports import EventLog

Order = TypeVar("Order", int, EventPosition)

_PAGE = 200
# Of one tenant: its streams have no turn any more, and many at once would take every connection.
_MAX_READS = 2


@dataclass(frozen=True)
class StreamPolicy:
    """How long a stream lasts, after which its client connects again; how often a silent one is heard of."""

    max_seconds: float
    heartbeat_seconds: float


class EventStreams:
    """Reads and follows the log for clients.

    What follows it raises Unauthenticated or TenantSuspended once its reader's next request would be refused.
    key_id: the reader's, or None for a watch token.
    """

    def __init__(self, log: EventLog, feed: EventFeed, watch: KeyWatch, policy: StreamPolicy) -> None:
        self._log = log
        self._feed = feed
        self._watch = watch
        self._policy = policy
        self._reads = TenantConcurrencyLimiter(_MAX_READS, policy.max_seconds)

    async def number_after(self, tenant_id: str, generation_id: str, last: EventPosition | None) -> int:
        """Return the number of the generation's event that a client has seen last; 0 for none.

        Raises EventsExpired if it is not in the log any more, or is another generation's.
        """
        if last is None:
            return 0
        event = await self._log.find_event(tenant_id, last)
        if event is None or event.generation_id != generation_id or event.number is None:
            raise EventsExpired
        return event.number

    async def require_position(self, tenant_id: str, last: EventPosition | None) -> None:
        """Raises EventsExpired if this event is not in the log any more."""
        if last is not None and await self._log.find_event(tenant_id, last) is None:
            raise EventsExpired

    async def has_more(self, tenant_id: str, generation_id: str, after: int) -> bool:
        """Return whether the log has events of a generation after this number."""
        return bool(await self._log.list_of_generation(tenant_id, generation_id, after=after, limit=1))

    async def of_ended_generation(
        self, tenant_id: str, generation_id: str, after: int
    ) -> AsyncGenerator[Event | None]:
        """Yield what the log has of a generation after this number."""
        while page := await self._log.list_of_generation(tenant_id, generation_id, after=after, limit=_PAGE):
            for event in page:
                after = event.number or after
                yield event

    async def of_generation(
        self, tenant_id: str, generation_id: str, after: int, key_id: str | None = None
    ) -> AsyncGenerator[Event | None]:
        """Yield a generation's events after this number, until it has ended; None when nothing happens."""

        async def read(last: int) -> Sequence[Event]:
            async with self._reads.limit(tenant_id):
                return await self._log.list_of_generation(tenant_id, generation_id, after=last, limit=_PAGE)

        async with (
            self._feed.of_generation(generation_id) as subscription,
            self._watched(tenant_id, key_id, subscription),
            aclosing(self._follow(subscription, read, _number, after)) as events,
        ):
            async for event in events:
                yield event
                if event is not None and event.type.ends_generation:
                    return

    async def of_tenant(
        self, tenant_id: str, after: EventPosition | None, key_id: str | None = None
    ) -> AsyncGenerator[Event | None]:
        """Yield a tenant's events after a position, or from now on; None when nothing happens."""

        async def read(last: EventPosition) -> Sequence[Event]:
            async with self._reads.limit(tenant_id):
                return await self._log.list_of_tenant(tenant_id, after=last, limit=_PAGE)

        async with (
            self._feed.of_tenant(tenant_id) as subscription,
            self._watched(tenant_id, key_id, subscription),
        ):
            start = after or EventPosition(await self._log.horizon(), -1)
            async with aclosing(self._follow(subscription, read, _position, start)) as events:
                async for event in events:
                    yield event

    async def of_types(
        self, events: AsyncGenerator[Event | None], types: Collection[EventType]
    ) -> AsyncGenerator[Event | None]:
        """Yield the events of these types; None also where there were only others for a while."""
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        async with aclosing(events) as all_events:
            async for event in all_events:
                if event is None or event.type in types:
                    heard_at = loop.time()
                    yield event
                elif loop.time() - heard_at >= self._policy.heartbeat_seconds:
                    heard_at = loop.time()
                    yield None

    @asynccontextmanager
    async def _watched(
        self, tenant_id: str, key_id: str | None, subscription: Subscription
    ) -> AsyncIterator[None]:
        with self._watch.watching(tenant_id, key_id, subscription.refuse):
            yield

    async def _follow(
        self,
        subscription: Subscription,
        read: Callable[[Order], Awaitable[Sequence[Event]]],
        order: Callable[[Event], Order],
        after: Order,
    ) -> AsyncGenerator[Event | None]:
        """Yield from the log what is there, then what comes; after a gap read the log again."""
        until = asyncio.get_running_loop().time() + self._policy.max_seconds
        is_behind = True
        while is_behind:
            while page := await read(after):
                for event in page:
                    subscription.require_allowed()
                    after = order(event)
                    yield event
            try:
                async with aclosing(self._live(subscription, until)) as events:
                    async for live in events:
                        if live is None:
                            yield None
                        elif order(live) > after:
                            _require_next(order(live), after)
                            after = order(live)
                            yield live
                is_behind = False
            except EventsDropped:
                is_behind = True

    async def _live(self, subscription: Subscription, until: float) -> AsyncGenerator[Event | None]:
        """Yield what comes, and None where nothing does for a while. Raises EventsDropped."""
        loop = asyncio.get_running_loop()
        while not subscription.is_closed and (left := until - loop.time()) > 0:
            events = await subscription.take(min(left, self._policy.heartbeat_seconds))
            subscription.require_allowed()
            if not events:
                yield None
            for event in events:
                subscription.require_allowed()
                yield event
        subscription.require_allowed()


def _number(event: Event) -> int:
    return event.number or 0


def _require_next(order: int | EventPosition, after: int | EventPosition) -> None:
    """Raise EventsDropped if events of a generation are missing before this one.

    The feed reads much that is new in several pages: what is committed meanwhile may come after a later one.
    """
    if isinstance(order, int) and isinstance(after, int) and order > after + 1:
        raise EventsDropped


def _position(event: Event) -> EventPosition:
    return event.position
