"""What decides where a connection to a stranger's address goes. It knows no client."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar


class Connection(Protocol):
    """A connection, as far as a guard has to know it."""

    async def aclose(self) -> None: ...


C = TypeVar("C", bound=Connection)
# Connects to an address, which is given as text.
Connect = Callable[[str], Coroutine[Any, Any, C]]


class Guard(Protocol):
    """Chooses the address that a host is reached at."""

    async def connect(self, host: str, port: int, connect: Connect[C]) -> C:
        """Return a connection that `connect` made. What this raises, the request raises."""
        ...
