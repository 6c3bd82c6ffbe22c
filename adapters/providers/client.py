"""The HTTP client that providers' APIs are spoken to with: bounded in time, in size, and in trust."""

import socket
from collections.abc import AsyncIterator

import httpx

_LARGEST_ANSWER_BYTES = 2_000_000
_MOST_CONNECTIONS = 100
# A connection on which nothing moves for minutes is forgotten by the gateways on its way unless it is probed.
_PROBED = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), seconds)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30))
    if hasattr(socket, name)
]


def provider_client(
    *,
    read_seconds: float = 20.0,
    connections: int = _MOST_CONNECTIONS,
    largest_answer_bytes: int | None = _LARGEST_ANSWER_BYTES,
) -> httpx.AsyncClient:
    """No redirects, so that a key goes only where it was sent; no proxies from the environment.

    read_seconds: how long an answer may say nothing; minutes where it is the images themselves.
    connections: at least as many as calls that may wait at once. largest_answer_bytes: None where whoever
    reads the answer caps it.
    """
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=20)
    return httpx.AsyncClient(
        transport=_Capped(
            httpx.AsyncHTTPTransport(limits=limits, socket_options=_PROBED), largest_answer_bytes
        ),
        timeout=httpx.Timeout(20.0, read=read_seconds, connect=5.0, pool=5.0),
        follow_redirects=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "darkroom"},
    )


class _Capped(httpx.AsyncBaseTransport):
    """Ends an answer that grows over the cap, as if the connection had broken.

    One with a content encoding ends at once: unpacked, it could be a thousand times the cap.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, max_bytes: int | None) -> None:
        self._inner = inner
        self._largest_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.ReadError("answer with a content encoding that was not asked for")
        if self._largest_bytes is not None:
            response.stream = _CappedStream(response.stream, self._largest_bytes)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _CappedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, max_bytes: int) -> None:
        self._inner = inner
        self._largest_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for chunk in self._inner:
            total += len(chunk)
            if total > self._largest_bytes:
                raise httpx.ReadError(f"answer over {self._largest_bytes} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
