"""What is known of a request's sender: its address at first, later that it authenticated."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Scope

_KEY = "client"

# Called with the id of the tenant whose key it seems to be. What it raises refuses the request.
WhenRecognized = Callable[[str], None]
# Called before a wait for events; False if too many wait.
WhenWaiting = Callable[[], bool]
# Called with the tenant's id, or None for a signature of ours. What it raises refuses the request.
WhenAuthenticated = Callable[[str | None], Awaitable[None]]


class RequestClient:
    """address: the client's, also behind a trusted proxy. group: which addresses count as this client."""

    def __init__(self, address: str, group: str | None = None) -> None:
        self.address = address
        self.group = group or address
        self._when_recognized: list[WhenRecognized] = []
        self._callbacks: list[WhenAuthenticated] = []
        self._when_waiting: WhenWaiting | None = None
        # Whether it waited for events, so that how long it took says nothing.
        self.has_waited = False
        self._is_gone = False
        self._wait: asyncio.Timeout | None = None

    def when_recognized(self, callback: WhenRecognized) -> None:
        self._when_recognized.append(callback)

    def mark_recognized(self, tenant_id: str) -> None:
        """Tell whose key it was a while ago, before the database is asked whether it still is.

        Raises what refuses the request.
        """
        callbacks, self._when_recognized = self._when_recognized, []
        for callback in callbacks:
            callback(tenant_id)

    def when_authenticated(self, callback: WhenAuthenticated) -> None:
        self._callbacks.append(callback)

    async def mark_authenticated(self, tenant_id: str | None = None) -> None:
        """Tell the server, which may let the request wait for its turn. Raises what refuses it."""
        if tenant_id is not None:
            self.mark_recognized(tenant_id)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            await callback(tenant_id)

    def when_waiting(self, callback: WhenWaiting) -> None:
        self._when_waiting = callback

    def begin_waiting(self) -> bool:
        """Give up the request's turn: from now on it only waits for what happens, and then responds.

        Return False, and change nothing, if too many do so already.
        """
        may_wait = self._when_waiting is None or self._when_waiting()
        self.has_waited = self.has_waited or may_wait
        return may_wait

    @asynccontextmanager
    async def waiting_for_events(self) -> AsyncIterator[bool]:
        """Wait for an event within, without a turn; yield whether it may. Raises as `waiting`."""
        if not self.begin_waiting():
            yield False
            return
        async with self.waiting():
            yield True

    @property
    def is_gone(self) -> bool:
        """Return whether the connection ended while this was its last request."""
        return self._is_gone

    def mark_gone(self) -> None:
        """The client has disconnected: a wait for a turn ends."""
        self._is_gone = True
        if self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for a turn or an event within, and for nothing else, as it may be broken off.

        Raises HTTPException 408, which nobody reads, if the client is gone.
        """
        try:
            async with asyncio.timeout(0 if self._is_gone else None) as self._wait:
                yield
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from error
        finally:
            self._wait = None


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
