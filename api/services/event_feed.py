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

from domain.errors import TransientError
from domain.events import Event, EventPosition
from domain.ports import EventLog, LogTail

_log = logging.getLogger("darkroom.api")
_MAX_READ = 2000
_MAX_QUEUED = 500
_AFTER_FAILURE_SECONDS = 1.0


class EventsDropped(Exception):
    """More events came than a subscription holds."""


class Subscription:
    """What one reader has not taken yet.

    Attributes:
        is_closed: Whether the process stops: nothing comes any more.
    """

    def __init__(self) -> None:
        self.is_closed = False
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
        self._after = EventPosition(0, 0)
        # What was given out already, of transactions that others may still be older than.
        self._given: set[EventPosition] = set()
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
            if self._following is None and not self._is_closed:
                self._after = EventPosition(await self._log.horizon(), -1)
                self._given = set()
                self._following = asyncio.create_task(self._run())
        if self._is_closed:
            self.close()

    async def _run(self) -> None:
        is_full = False
        while self._of_generations or self._of_tenants:
            try:
                if not is_full:
                    await asyncio.sleep(self._pause_seconds)
                is_full = self._give(await self._log.read_tail(self._after, _MAX_READ))
            except TransientError:
                _log.warning("the log of events cannot be read now")
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
            except Exception:  # noqa: BLE001 - whatever it is, those who wait go on waiting
                _log.exception("the log of events could not be read")
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
        self._following = None

    def _give(self, tail: LogTail) -> bool:
        """Give out what is new; return whether there is more to read at once."""
        final = [event for event in tail.events if event.position.transaction_id < tail.horizon]
        new = [event for event in tail.events if event.position not in self._given]
        for event in new:
            if event.generation_id is not None:
                _put(self._of_generations.get(event.generation_id, ()), event)
        for event in final:
            _put(self._of_tenants.get(event.tenant_id, ()), event)
        self._given = {event.position for event in tail.events[len(final) :]}
        if len(tail.events) == _MAX_READ and len(final) == _MAX_READ:
            self._after = final[-1].position
            return True
        self._after = EventPosition(tail.horizon, -1)
        return False


def _put(subscriptions: Iterable[Subscription], event: Event) -> None:
    for subscription in subscriptions:
        subscription.put(event)
