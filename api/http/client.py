"""What is known of a request's sender: its address at first, later that it authenticated."""

from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.types import Scope

_KEY = "client"


class RequestClient:
    """address: the client's, also behind a trusted proxy. group: which addresses count as this client."""

    def __init__(self, address: str, group: str | None = None) -> None:
        self.address = address
        self.group = group or address
        self._callbacks: list[Callable[[str | None], None]] = []

    def when_authenticated(self, callback: Callable[[str | None], None]) -> None:
        """Call with the tenant's id, or None for a signature of ours. What it raises refuses the request."""
        self._callbacks.append(callback)

    def mark_authenticated(self, tenant_id: str | None = None) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(tenant_id)


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
