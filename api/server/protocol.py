"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may take for nothing.

It is uvicorn's protocol on h11, which is always installed with it and shows at every step what it waits for;
httptools is an optional package, and shows neither an incomplete head nor how large it has become.
"""

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from api import metrics
from api.http.client import RequestClient, put_client
from api.http.problems import problem
from api.server.addresses import client_group
from api.server.chunks import BoundedH11Connection
from api.server.config import ServerConfig
from domain.errors import InvalidInput

_log = logging.getLogger("darkroom.api.server")
# Below are only complaints about what clients sent, as many as they like.
_log.setLevel(logging.ERROR)
_MAX_HEAD_BYTES = 16_384
# For what we have still to say to a client that we close the connection of.
_FAREWELL_SECONDS = 5.0
# What a client must take of its response, on average.
_MIN_BYTES_PER_SECOND = 10_000


class BoundedProtocol(H11Protocol):
    """Bounds three waits for a client: for a head, for a body that nobody reads, and for its reading."""

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _log
        self.conn = BoundedH11Connection(_MAX_HEAD_BYTES)
        self._application = self.app
        self.app = self._run_request
        self._limits = config.limits
        self._table = config.table
        self._proxies = config.proxies
        self._peer = "unknown"
        self._is_proxy = False
        self._sender: RequestClient | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._awaited: object | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._paused_at = 0.0
        self._patience_seconds = config.limits.write_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            self._peer = self.client[0]
        self._is_proxy = self._proxies.trusts(self._peer)
        if self._table.open(self, None if self._is_proxy else client_group(self._peer)):
            self._await_client(has_begun=True)
        else:
            self._abort("refused")

    def connection_lost(self, exc: Exception | None) -> None:
        self._table.close(self)
        self._stop_read_timer()
        self._stop_write_timer()
        super().connection_lost(exc)
        if self._sender is not None:
            self._sender.mark_gone()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._note_who_owes()
        self._await_client(has_begun=True)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note_who_owes()
        # Another request may be in progress already, and what is left of this response may never be read.
        self._await_client(has_begun=False)
        self._patience_seconds = self._limits.write_seconds
        self._watch_writing()

    def evict(self) -> None:
        self._abort("evicted")

    def _note_who_owes(self) -> None:
        """Tell the table who is to act: we, by a response, or the client, by a head, by the rest of a body
        that nobody reads, or by its reading."""
        # There is no cycle before the first request.
        is_answered = getattr(self.cycle, "response_complete", True)
        if is_answered or self.flow.write_paused:
            self._table.mark_silent(self)
        else:
            self._table.mark_busy(self)

    # What the client has still to send

    def _await_client(self, *, has_begun: bool) -> None:
        """Start or stop the timer, by what h11 waits for. has_begun: whether a head is due yet.

        Between two requests it is not: then uvicorn's own timer for idle connections runs.
        """
        if self.transport.is_closing():
            return
        state = self.conn.their_state
        if state is self._awaited:
            return
        self._stop_read_timer()
        if state is h11.IDLE and has_begun:
            self._start_read_timer(state, self._limits.head_seconds, self._on_late_head)
        elif state is h11.SEND_BODY and self.cycle.response_complete:
            self._start_read_timer(state, self._limits.drain_seconds, partial(self._hang_up, "slow_body"))

    def _start_read_timer(self, state: object, seconds: float, on_late: Any) -> None:
        self._awaited = state
        self._read_timer = self.loop.call_later(seconds, on_late)

    def _stop_read_timer(self) -> None:
        self._awaited = None
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _on_late_head(self) -> None:
        unparsed, _ = self.conn.trailing_data
        if unparsed:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "slow_head")
        else:
            self._hang_up("silent")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; in the middle of a response there is nothing left to say."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._abort("malformed")
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, InvalidInput.code, "malformed")

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is served as if it asked for no upgrade."""

    # What the client has still to read

    def pause_writing(self) -> None:
        super().pause_writing()
        self._note_who_owes()
        self._paused_at = self.loop.time()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._note_who_owes()
        low, high = self.transport.get_write_buffer_limits()
        earned = (high - low) / _MIN_BYTES_PER_SECOND
        left = self._patience_seconds - (self.loop.time() - self._paused_at) + earned
        self._patience_seconds = min(self._limits.write_seconds, left)
        self._watch_writing()

    def _watch_writing(self) -> None:
        self._stop_write_timer()
        if self.transport.get_write_buffer_size() > 0:
            self._write_timer = self.loop.call_later(self._patience_seconds, self._on_unread)

    def _on_unread(self) -> None:
        if self.flow.write_paused or (self.transport.is_closing() and self.transport.get_write_buffer_size()):
            self._abort("slow_reader")

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # The end

    def _refuse(self, status: HTTPStatus, code: str, reason: str) -> None:
        response = problem(status, code, status.phrase, headers={"Connection": "close"})
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
        lines += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self._hang_up(reason)

    def _hang_up(self, reason: str) -> None:
        """Close when what was written has been sent."""
        metrics.connections_closed.labels(reason).inc()
        self._stop_read_timer()
        self.transport.close()
        self._patience_seconds = _FAREWELL_SECONDS
        self._watch_writing()

    def _abort(self, reason: str) -> None:
        metrics.connections_closed.labels(reason).inc()
        self.transport.abort()

    # The request

    async def _run_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = self._proxies.client_address(self._peer, scope["headers"])
        client = RequestClient(address, client_group(address))
        scope["client"] = (address, 0 if address != self._peer or self.client is None else self.client[1])
        put_client(scope, client)
        self._sender = client
        if self.transport.is_closing():
            client.mark_gone()
        if self._is_proxy:
            await self._run_forwarded(client, scope, receive, send)
            return

        async def count_no_longer(_: str | None) -> None:
            self._table.mark_authenticated(self)

        # It may wait for long to ask whether its key is still genuine.
        client.when_recognized(lambda _: self._table.mark_authenticated(self))
        client.when_authenticated(count_no_longer)
        await self._application(scope, receive, send)

    async def _run_forwarded(self, client: RequestClient, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a request behind a proxy, which is counted itself, as its connection has many clients."""
        request = self._table.enter_request(client.group)

        async def count_no_longer(_: str | None) -> None:
            request.leave()

        client.when_recognized(lambda _: request.leave())
        client.when_authenticated(count_no_longer)
        try:
            if request.is_admitted:
                await self._application(scope, receive, send)
                return
            metrics.connections_closed.labels("refused").inc()
            status = HTTPStatus.TOO_MANY_REQUESTS
            refusal = problem(status, "too_many_at_once", status.phrase, headers={"Retry-After": "1"})
            await refusal(scope, receive, send)
        finally:
            request.leave()
