"""New events, from one reader of the log in each process to all that wait for them.

Whoever waits costs memory only: no thread, no transaction, no connection. The log is read while anybody
waits. PostgreSQL's NOTIFY is not used: a transaction that notifies takes a lock of the whole server when it
commits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from domain.errors import ServiceError, TransientError
from domain.events import Event, EventPosition
from domain.ports import EventLog

_log = logging.getLogger("darkroom.api")
_MAX_READ = 2000
_MAX_QUEUED = 500
_AFTER_FAILURE_SECONDS = 1.0


class EventsDropped(Exception):
    """More events came than a subscription holds."""


class Subscription:
    """What one reader has not taken yet.

    Attributes:
        is_closed: Whether nothing comes any more: the process stops, or its reader is refused from now on.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self._refusal: ServiceError | None = None
        self._events: deque[Event] = deque()
        self._has_dropped = False
        self._has_news = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event. Of a reader that is too slow all are dropped: it reads the log again."""
        if len(self._events) >= _MAX_QUEUED:
            self._events.clear()
            self._has_dropped = True
        self._events.append(event)
        self._has_news.set()

    def close(self) -> None:
        self.is_closed = True
        self._has_news.set()

    def refuse(self, error: ServiceError) -> None:
        """End the wait of a reader that may not read any more. error: what its next request gets."""
        self._refusal = error
        self.close()

    def require_allowed(self) -> None:
        """Raises what the reader is refused with."""
        if self._refusal is not None:
            raise type(self._refusal)  # a new one: others get the same

    async def take(self, within_seconds: float) -> list[Event]:
        """Wait for events; return all that came: none after this time, or if it is closed.

        Raises EventsDropped if some of them are only in the log.
        """
        try:
            async with asyncio.timeout(within_seconds):
                await self._has_news.wait()
        except TimeoutError:
            return []
        if not self.is_closed:
            self._has_news.clear()
        events, has_dropped = list(self._events), self._has_dropped
        self._events.clear()
        self._has_dropped = False
        if has_dropped:
            raise EventsDropped
        return events


class EventFeed:
    """Follows the log, and gives each event to those who wait for its generation or its tenant.

    pause_seconds: between two reads of the log.
    """

    def __init__(self, log: EventLog, *, pause_seconds: float) -> None:
        self._log = log
        self._pause_seconds = pause_seconds
        self._of_generations: dict[str, set[Subscription]] = {}
        self._of_tenants: dict[str, set[Subscription]] = {}
        self._starting = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        # What generations were told of; None while nobody waits for one. A snapshot and not a position: as
        # long as a transaction is open, all that came since it began would be behind one, and read each time.
        self._seen: str | None = None
        # Within what is new since then: how far it was read, and the snapshot of its first page.
        self._page: tuple[EventPosition, str] | None = None
        # What tenants were told of; None while nobody waits for one.
        self._after: EventPosition | None = None
        self._is_closed = False

    @asynccontextmanager
    async def of_generation(self, generation_id: str) -> AsyncIterator[Subscription]:
        """Subscribe to a generation: each event as soon as it is committed, in the order of their numbers.

        What was committed before may come again. Raises DatabaseUnavailable.
        """
        async with self._subscribed(self._of_generations, generation_id) as subscription:
            yield subscription

    @asynccontextmanager
    async def of_tenant(self, tenant_id: str) -> AsyncIterator[Subscription]:
        """Subscribe to a tenant: its events in the order of positions, once none before can be missing.

        What was committed before may come again. Raises DatabaseUnavailable.
        """
        async with self._subscribed(self._of_tenants, tenant_id) as subscription:
            yield subscription

    def close(self) -> None:
        """End every wait: the process stops."""
        self._is_closed = True
        for subscriptions in (*self._of_generations.values(), *self._of_tenants.values()):
            for subscription in subscriptions:
                subscription.close()
        if self._following is not None:
            self._following.cancel()

    @asynccontextmanager
    async def _subscribed(self, by_id: dict[str, set[Subscription]], key: str) -> AsyncIterator[Subscription]:
        subscription = Subscription()
        by_id.setdefault(key, set()).add(subscription)
        try:
            await self._follow()
            yield subscription
        finally:
            by_id[key].discard(subscription)
            if not by_id[key]:
                del by_id[key]

    async def _follow(self) -> None:
        """Follow the log from now on, if nobody did: what is committed before this returns can be read."""
        async with self._starting:
            if self._of_generations and self._seen is None:
                self._seen, self._page = await self._log.snapshot(), None
            if self._of_tenants and self._after is None:
                self._after = EventPosition(await self._log.horizon(), -1)
            if self._following is None and not self._is_closed:
                self._following = asyncio.create_task(self._run())
        if self._is_closed:
            self.close()

    async def _run(self) -> None:
        is_full = False
        while self._of_generations or self._of_tenants:
            try:
                if not is_full:
                    await asyncio.sleep(self._pause_seconds)
                is_full = await self._read()
            except TransientError:
                _log.warning("the log of events cannot be read now")
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
            except Exception:  # noqa: BLE001 - whatever it is, those who wait go on waiting
                _log.exception("the log of events could not be read")
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
        self._seen = self._after = self._following = None

    async def _read(self) -> bool:
        """Read for those who wait; return whether there is more to read at once."""
        is_full = False
        if not self._of_generations:
            self._seen = None
        elif self._seen is not None:
            is_full = await self._read_new(self._seen)
        if not self._of_tenants:
            self._after = None
        elif self._after is not None:
            is_full = await self._read_settled(self._after) or is_full
        return is_full

    async def _read_new(self, seen: str) -> bool:
        """Give each generation what was committed since this snapshot."""
        after, first = self._page or (EventPosition(0, 0), None)
        tail = await self._log.read_new(seen, after, _MAX_READ)
        for event in tail.events:
            if event.generation_id is not None:
                _put(self._of_generations.get(event.generation_id, ()), event)
        if len(tail.events) == _MAX_READ:
            self._page = tail.events[-1].position, first or tail.snapshot
            return True
        # What was committed between its pages may come again.
        self._seen, self._page = first or tail.snapshot, None
        return False

    async def _read_settled(self, after: EventPosition) -> bool:
        """Give each tenant what comes next, and nothing can come before."""
        tail = await self._log.read_settled(after, _MAX_READ)
        for event in tail.events:
            _put(self._of_tenants.get(event.tenant_id, ()), event)
        is_full = len(tail.events) == _MAX_READ
        self._after = tail.events[-1].position if is_full else EventPosition(tail.horizon, -1)
        return is_full


def _put(subscriptions: Iterable[Subscription], event: Event) -> None:
    for subscription in subscriptions:
        subscription.put(event)
