"""Which connections are open, and which one is closed where there are too many.

A connection is anonymous until a request on it has authenticated, and silent while its client owes something:
the head of a request, what is left of a body after the response, or its reading. Only silent connections are
closed in favor of others, the oldest first: whoever sends requests and reads the responses is not shut out by
those who do not. Where all together are too many, those with a key go first, as anonymous ones have limits
of their own: one key that keeps thousands of idle connections takes no place from anybody.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

# The pool of the database, the object store, Temporal, temporary files and the log.
_OTHER_DESCRIPTORS = 256
_INTERNAL_CONNECTIONS = 64
_MAX_BACKLOG = 2048


@dataclass(frozen=True)
class ConnectionLimits:
    """max_anonymous, max_per_address: of connections on which no request has authenticated.

    write_seconds: for a client that takes less than 10 KB/s of its response. backlog: connections that the
    system accepts for us before we do.
    """

    max_connections: int = 20_000
    max_anonymous: int = 5_000
    max_per_address: int = 2_500
    head_seconds: float = 10.0
    drain_seconds: float = 30.0
    write_seconds: float = 60.0
    backlog: int = _MAX_BACKLOG

    def within(self, descriptors: int) -> "ConnectionLimits":
        """Return limits that a process keeps which may have so many descriptors open."""
        # asyncio accepts a whole backlog before it tells of the first connection.
        backlog = min(self.backlog, max(16, descriptors // 8))
        max_connections = min(self.max_connections, max(16, descriptors - backlog - _OTHER_DESCRIPTORS))
        max_anonymous = min(self.max_anonymous, max(1, max_connections // 2))
        return replace(
            self,
            backlog=backlog,
            max_connections=max_connections,
            max_anonymous=max_anonymous,
            # One address alone must not have all of them.
            max_per_address=min(self.max_per_address, max(1, max_anonymous // 2)),
        )

    def for_few_clients(self) -> "ConnectionLimits":
        """Return limits for a port that only operators' tools use, with its own small share of sockets."""
        return replace(
            self,
            max_connections=_INTERNAL_CONNECTIONS,
            max_anonymous=_INTERNAL_CONNECTIONS,
            max_per_address=_INTERNAL_CONNECTIONS,
            backlog=_INTERNAL_CONNECTIONS,
        )


class Connection(Protocol):
    """What the table asks of a connection."""

    def evict(self) -> None:
        """Close at once, for others to have the place."""
        ...


class ConnectionTable:
    """Counts connections by client and state. It sees every event of every connection, so each is O(1)."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: set[Connection] = set()
        # Those on which nothing has authenticated, with whose they are.
        self._anonymous: dict[Connection, str] = {}
        self._of_client: Counter[str] = Counter()
        # Those on which something has, but not of proxies; and which of them are silent, in that order.
        self._known: set[Connection] = set()
        self._silent_known: dict[Connection, None] = {}
        # In the order in which they fell silent: all anonymous ones, and those of each client.
        self._silent: dict[Connection, None] = {}
        self._silent_of: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, connection: Connection, client: str | None) -> bool:
        """Enter a connection; False if it must be closed, because no silent one could be instead of it.

        client: whose it is; None for a trusted proxy's, which is neither counted by address nor evicted.
        """
        self._open.add(connection)
        if client is None:
            return len(self._open) <= self._limits.max_connections or self._evict_any(connection)
        self._anonymous[connection] = client
        self._of_client[client] += 1
        self.mark_silent(connection)
        if self._of_client[client] > self._limits.max_per_address:
            return self._evict_of(self._silent_of[client], connection)
        if len(self._anonymous) > self._limits.max_anonymous:
            return self._evict_of(self._silent, connection)
        return len(self._open) <= self._limits.max_connections or self._evict_any(connection)

    def close(self, connection: Connection) -> None:
        """Forget a connection. It may be repeated."""
        self._open.discard(connection)
        self.mark_authenticated(connection)
        self._known.discard(connection)

    def mark_silent(self, connection: Connection) -> None:
        """The client owes something, from now on unless it did so before."""
        if connection in self._known:
            self._silent_known.setdefault(connection)
            return
        client = self._anonymous.get(connection)
        if client is not None and connection not in self._silent:
            self._silent[connection] = None
            self._silent_of.setdefault(client, {})[connection] = None

    def mark_busy(self, connection: Connection) -> None:
        """We owe a response."""
        self._silent_known.pop(connection, None)
        if connection not in self._silent:
            return
        del self._silent[connection]
        client = self._anonymous[connection]
        del self._silent_of[client][connection]
        if not self._silent_of[client]:
            del self._silent_of[client]

    def mark_authenticated(self, connection: Connection) -> None:
        """A request on it has authenticated: from now on it counts against no address."""
        self.mark_busy(connection)
        client = self._anonymous.pop(connection, None)
        if client is not None:
            self._leave(client)
            if connection in self._open:
                self._known.add(connection)

    def enter_request(self, client: str) -> "ForwardedRequest":
        """Count a request that a trusted proxy forwards, for the client that it names."""
        self._of_client[client] += 1
        is_admitted = self._of_client[client] <= self._limits.max_per_address
        return ForwardedRequest(is_admitted, lambda: self._leave(client))

    def free(self, number: int) -> int:
        """Close so many of the oldest silent connections, anonymous ones first; return their number."""
        silent = chain(self._silent, self._silent_known)
        oldest = [connection for connection, _ in zip(silent, range(number), strict=False)]
        for connection in oldest:
            self._evict(connection)
        return len(oldest)

    def _evict_any(self, newest: Connection) -> bool:
        return self._evict_of(self._silent_known or self._silent, newest)

    def _evict_of(self, silent: dict[Connection, None], newest: Connection) -> bool:
        oldest = next(iter(silent), newest)
        if oldest is newest:
            self.close(newest)
            return False
        self._evict(oldest)
        return True

    def _evict(self, connection: Connection) -> None:
        self.close(connection)
        connection.evict()

    def _leave(self, client: str) -> None:
        self._of_client[client] -= 1
        if self._of_client[client] == 0:
            del self._of_client[client]


class ForwardedRequest:
    """A request behind a trusted proxy. is_admitted: whether its client is within the limit."""

    def __init__(self, is_admitted: bool, leave: Callable[[], None]) -> None:
        self.is_admitted = is_admitted
        self._leave: Callable[[], None] | None = leave

    def leave(self) -> None:
        """Count it no longer. It may be repeated."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
