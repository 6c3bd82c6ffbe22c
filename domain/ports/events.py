"""The log of events, as its readers need it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.events import Event, EventPosition


@dataclass(frozen=True)
class LogTail:
    """The newest part of the log.

    Attributes:
        events: In the order of positions.
        horizon: The oldest transaction that may still write: below it, nothing is missing.
        snapshot: Which transactions had been committed.
    """

    events: Sequence[Event]
    horizon: int
    snapshot: str


class EventLog(Protocol):
    """Reads events. Writing them is the database's own work."""

    async def read_new(self, seen: str, after: EventPosition, limit: int) -> LogTail:
        """Return what was committed since a snapshot, of that what is after a position."""
        ...

    async def read_settled(self, after: EventPosition, limit: int) -> LogTail:
        """Return what is after a position, as far as nothing can be missing."""
        ...

    async def snapshot(self) -> str:
        """Return which transactions have been committed."""
        ...

    async def horizon(self) -> int:
        """Return the oldest transaction that may still write."""
        ...

    async def list_of_generation(
        self, tenant_id: str, generation_id: str, *, after: int, limit: int
    ) -> Sequence[Event]:
        """Return a generation's events with numbers above `after`, in their order."""
        ...

    async def list_of_tenant(
        self, tenant_id: str, *, after: EventPosition | None, limit: int
    ) -> Sequence[Event]:
        """Return a tenant's events after a position, in order, none of which can be missing yet.

        after: None begins with the oldest.
        """
        ...

    async def find_event(self, tenant_id: str, position: EventPosition) -> Event | None:
        """Return an event of the tenant; None if it is not in the log any more, or never was.

        One that is there has all that followed it after it: the oldest are deleted first.
        """
        ...
