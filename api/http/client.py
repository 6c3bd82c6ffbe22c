"""What is known of a request's sender: its address at first, later that it authenticated."""

from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection
from starlette.types import Scope

_KEY = "client"

# Called with the tenant's id, or None for a signature of ours. What it raises refuses the request.
WhenAuthenticated = Callable[[str | None], Awaitable[None]]


class RequestClient:
    """address: the client's, also behind a trusted proxy. group: which addresses count as this client."""

    def __init__(self, address: str, group: str | None = None) -> None:
        self.address = address
        self.group = group or address
        self._callbacks: list[WhenAuthenticated] = []

    def when_authenticated(self, callback: WhenAuthenticated) -> None:
        self._callbacks.append(callback)

    async def mark_authenticated(self, tenant_id: str | None = None) -> None:
        """Tell the server, which may let the request wait for its turn. Raises what refuses it."""
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            await callback(tenant_id)


def put_client(scope: Scope, client: RequestClient) -> None:
    scope.setdefault("state", {})[_KEY] = client


def client_of(connection: HTTPConnection | Scope) -> RequestClient:
    """Return the sender of a request; one made from the peer's address under a server that is not ours."""
    scope = connection.scope if isinstance(connection, HTTPConnection) else connection
    state = scope.setdefault("state", {})
    if _KEY not in state:
        state[_KEY] = RequestClient((scope.get("client") or ("unknown",))[0])
    client: RequestClient = state[_KEY]
    return client
