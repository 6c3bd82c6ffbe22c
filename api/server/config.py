"""uvicorn's configuration and server, as we use them."""

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from api.server.addresses import TrustedProxies
from api.server.connections import ConnectionLimits, ConnectionTable

_log = logging.getLogger("darkroom.api")
_GRACE_SECONDS = 10
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Enough for asyncio's next try, after a second; closing more would only hit more clients.
_FREED_AT_ONCE = 128
_BETWEEN_SECONDS = 0.5


class ServerConfig(uvicorn.Config):
    """What a listener serves, and what its connections may take."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: ConnectionLimits,
        proxies: TrustedProxies,
        grace_seconds: int = _GRACE_SECONDS,
    ) -> None:
        super().__init__(
            app,
            host=host,
            port=port,
            http="api.server.protocol:BoundedProtocol",
            # An upgraded connection would leave our protocol, and there is nothing to upgrade to.
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,  # paths hold callback tokens and image signatures
            # It would believe X-Forwarded-For of every local process.
            proxy_headers=False,
            server_header=False,
            backlog=limits.backlog,
            timeout_graceful_shutdown=grace_seconds,
        )
        self.limits = limits
        self.proxies = proxies
        self.table = ConnectionTable(limits)


class Server(uvicorn.Server):
    """A server that leaves signals to `runtime/process.py`, so that several can run in one process."""

    config: ServerConfig

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def port(self) -> int:
        """Return the port that it listens on, once it has started."""
        return int(self.servers[0].sockets[0].getsockname()[1])


async def serve_until(
    stop: asyncio.Event, *servers: Server, when_stopping: Callable[[], None] = lambda: None
) -> bool:
    """Run the servers until the event, or until one of them ends; return whether all had started.

    when_stopping: called before the servers end the requests that are in progress.
    """
    serving = [asyncio.create_task(server.serve()) for server in servers]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((*serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    when_stopping()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*serving)
    stopping.cancel()
    return all(server.started for server in servers)


def when_descriptors_run_out(
    table: ConnectionTable,
) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return a handler of the loop's exceptions that makes room if a connection could not be accepted.

    asyncio reports each of up to `backlog` tries, and then waits for a second: one of them is enough.
    """
    handled_at = float("-inf")

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal handled_at
        error = context.get("exception")
        if "socket" not in context or not isinstance(error, OSError) or error.errno not in _NO_DESCRIPTORS:
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if now - handled_at >= _BETWEEN_SECONDS:
            handled_at = now
            freed = table.free(_FREED_AT_ONCE)
            _log.error("no descriptor is left for a new connection (%s); closed %d silent", error, freed)

    return handle
