"""HTTP: all that adapters know of a client. Only this module imports httpx, and httpcore below it.

Another client is a change of this module. What adapters use of a response is written down as a protocol that
httpx's own fulfills. An address is httpx's own, so that it is checked as it is read when it is sent to.
"""

import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self

import httpcore
import httpx

from adapters.transport.bodies import Body, UnknownEncodingError, capped
from adapters.transport.errors import HttpError, NotConnected, Unsendable
from adapters.transport.guard import Guard

Url = httpx.URL
InvalidUrl = httpx.InvalidURL

_NOT_CONNECTED = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout,
    httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout,
)  # fmt: skip
_ERRORS = (
    httpx.HTTPError, httpx.InvalidURL,
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.UnsupportedProtocol,
)  # fmt: skip
# Gateways forget a connection on which nothing moves for minutes unless it is probed.
_KEEPALIVE_PROBES = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), seconds)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30))
    if hasattr(socket, name)
]
_KEPT_CONNECTIONS = 20
_KEPT_GUARDED_CONNECTIONS, _KEPT_GUARDED_SECONDS = 10, 10.0


@dataclass(frozen=True)
class Timeouts:
    """Of one request: to connect, how long either body may pause, and to wait for a free connection."""

    connect_seconds: float
    read_seconds: float
    write_seconds: float
    pool_seconds: float

    def by_name(self) -> dict[str, float | None]:
        """Return them as both clients name them."""
        return {
            "connect": self.connect_seconds,
            "read": self.read_seconds,
            "write": self.write_seconds,
            "pool": self.pool_seconds,
        }


@dataclass(frozen=True)
class Request:
    """A request. json: a body to write as JSON. content: or one in pieces, with its own headers."""

    method: str
    url: Url | str
    headers: Mapping[str, str] | None = None
    params: Mapping[str, str] | None = None
    json: Any = None
    content: AsyncIterable[bytes] | None = None


class Response(Protocol):
    """A whole response. The names of its headers are in any case."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    @property
    def is_success(self) -> bool: ...
    @property
    def is_redirect(self) -> bool: ...
    @property
    def is_client_error(self) -> bool: ...
    @property
    def is_server_error(self) -> bool: ...
    def json(self) -> Any:
        """Return the body, parsed. Raises ValueError, RecursionError."""


def response_of(status_code: int, headers: Mapping[str, str], content: bytes) -> Response:
    """Return a response that was put together here."""
    return httpx.Response(status_code, headers=headers, content=content)


@dataclass(frozen=True)
class StreamedResponse:
    """A response whose body arrives while it is read: what breaks then leaves its `async with` as HttpError.

    The names of its headers are in lower case.
    """

    status_code: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class HttpClient:
    """Sends requests, and follows no redirect. Raises HttpError, of which NotConnected and Unsendable."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, request: Request) -> Response:
        """Return the response, of any status."""
        try:
            return await self._client.send(self._built(request))
        except _ERRORS as error:
            raise _error_of(error) from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[StreamedResponse]:
        """Open the response, of any status, on a connection that nothing else uses."""
        try:
            built = self._built(request)
            built.headers["Connection"] = "close"
            response = await self._client.send(built, stream=True)
            try:
                yield StreamedResponse(response.status_code, response.headers, response.aiter_bytes())
            finally:
                await response.aclose()
        except _ERRORS as error:
            raise _error_of(error) from error

    def _built(self, request: Request) -> httpx.Request:
        body = {"json": request.json, "content": request.content}
        return self._client.build_request(
            request.method, request.url, headers=request.headers, params=request.params, **body
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def open_client(timeouts: Timeouts, *, max_connections: int, max_response_bytes: int | None) -> HttpClient:
    """Return a client without redirects, so that a key goes only where it was sent, and without proxies.

    A POST has a connection of its own. max_response_bytes: None where the caller caps the response.
    """

    def transport(max_keepalive: int) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_keepalive)
        return httpx.AsyncHTTPTransport(limits=limits, socket_options=_KEEPALIVE_PROBES)

    return HttpClient(
        httpx.AsyncClient(
            transport=_CappedTransport(transport(_KEPT_CONNECTIONS), transport(0), max_response_bytes),
            timeout=httpx.Timeout(**timeouts.by_name()),
            follow_redirects=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "darkroom"},
        )
    )


class _CappedTransport(httpx.AsyncBaseTransport):
    """Ends a response that grows over the cap, as if the connection had broken.

    What a gateway compressed without being asked counts as it is unpacked, in small pieces.

    fresh: Opens a connection for each POST: one that was kept open might be closed by the other side just as
    the request goes out on it, and then it is unknown whether the provider has it.
    """

    def __init__(
        self, pooled: httpx.AsyncBaseTransport, fresh: httpx.AsyncBaseTransport, max_bytes: int | None
    ) -> None:
        self._pooled = pooled
        self._fresh = fresh
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        transport = self._fresh if request.method == "POST" else self._pooled
        response = await transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            body = Body(response.headers.pop("content-encoding", ""))
        except UnknownEncodingError as error:
            await response.aclose()
            raise HttpError(f"response with {error}") from error
        response.stream = _Stream(capped(response.stream, body, self._max_bytes), response.stream)
        return response

    async def aclose(self) -> None:
        await self._pooled.aclose()
        await self._fresh.aclose()


class _Stream(httpx.AsyncByteStream):
    """The pieces of a body, and what has to be closed after it."""

    def __init__(self, pieces: AsyncIterator[bytes], inner: httpx.AsyncByteStream) -> None:
        self._pieces = pieces
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        await self._inner.aclose()


class GuardedPool:
    """Sends requests to addresses of strangers, over connections that a guard makes.

    They are shared with no trusted traffic, and never go through a proxy. The guard chooses the address, and
    TLS verifies the name. Raises HttpError.
    """

    def __init__(
        self, guard: Guard, tls: ssl.SSLContext | None, timeouts: Timeouts, *, max_connections: int
    ) -> None:
        self._timeouts = timeouts.by_name()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            network_backend=_GuardedBackend(guard),
            max_connections=max_connections,
            max_keepalive_connections=_KEPT_GUARDED_CONNECTIONS,
            keepalive_expiry=_KEPT_GUARDED_SECONDS,
        )

    @asynccontextmanager
    async def stream(
        self, url: Url, headers: Mapping[str, str], *, method: str = "GET", content: bytes | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Open the response, of any status, with its body as it was sent."""
        sent = [("Host", url.netloc.decode("ascii")), *headers.items()]
        options: Any = {"headers": sent, "content": content, "extensions": {"timeout": self._timeouts}}
        try:
            async with self._pool.stream(method, str(url), **options) as response:
                fields = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                yield StreamedResponse(response.status, fields, response.aiter_stream())
        except _ERRORS as error:
            raise _error_of(error) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Has nothing but TCP: a Unix socket is never connected to."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async def connect(address: str) -> httpcore.AsyncNetworkStream:
            return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)

        return await self._guard.connect(host, port, connect)


def _error_of(error: Exception) -> HttpError:
    name = type(error).__name__
    if isinstance(error, _NOT_CONNECTED):
        return NotConnected(name)
    # An address or a header is refused before a byte has left. Whatever else breaks the protocol's rules may
    # do so in the middle of the request.
    is_header = isinstance(error, httpx.LocalProtocolError) and str(error).startswith("Illegal header")
    if is_header or isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Unsendable(name)
    return HttpError(name)
