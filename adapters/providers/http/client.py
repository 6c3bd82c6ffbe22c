"""The HTTP client for providers' APIs: bounded in time, in size, and in trust."""

import socket
from collections.abc import AsyncIterator

import httpx

from adapters.storage.content_encoding import Body, BrokenBodyError, UnknownEncodingError

_MAX_RESPONSE_BYTES = 2_000_000
_MAX_CONNECTIONS = 100
# Gateways forget a connection on which nothing moves for minutes unless it is probed.
_KEEPALIVE_PROBES = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), seconds)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30))
    if hasattr(socket, name)
]


def provider_client(
    *,
    read_seconds: float = 20.0,
    max_connections: int = _MAX_CONNECTIONS,
    max_response_bytes: int | None = _MAX_RESPONSE_BYTES,
) -> httpx.AsyncClient:
    """Return a client without redirects, so that a key goes only where it was sent, and without proxies.

    read_seconds: how long a response may pause; minutes where it carries the images themselves.
    max_connections: at least as many as calls that may wait at once. max_response_bytes: None where the
    caller caps the response.
    """

    def transport(max_keepalive: int) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_keepalive)
        return httpx.AsyncHTTPTransport(limits=limits, socket_options=_KEEPALIVE_PROBES)

    return httpx.AsyncClient(
        transport=_CappedTransport(transport(20), transport(0), max_response_bytes),
        timeout=httpx.Timeout(20.0, read=read_seconds, connect=5.0, pool=5.0),
        follow_redirects=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "darkroom"},
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
            raise httpx.ReadError(f"response with {error}") from error
        response.stream = _CappedStream(response.stream, body, self._max_bytes)
        return response

    async def aclose(self) -> None:
        await self._pooled.aclose()
        await self._fresh.aclose()


class _CappedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, body: Body, max_bytes: int | None) -> None:
        self._inner = inner
        self._body = body
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        try:
            async for chunk in self._inner:
                for piece in self._body.pieces(chunk):
                    total += len(piece)
                    if self._max_bytes is not None and total > self._max_bytes:
                        raise httpx.ReadError(f"response over {self._max_bytes} bytes")
                    yield piece
            self._body.end()
        except BrokenBodyError as error:
            raise httpx.ReadError(f"response: {error}") from error

    async def aclose(self) -> None:
        await self._inner.aclose()
