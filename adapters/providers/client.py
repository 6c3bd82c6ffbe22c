"""The HTTP client that providers' APIs are spoken to with: bounded in time, in size, and in trust."""

from collections.abc import AsyncIterator

import httpx

_LARGEST_ANSWER_BYTES = 2_000_000
_TIMEOUT = httpx.Timeout(20.0, connect=5.0, pool=5.0)
_MOST_CONNECTIONS = 100


def provider_client() -> httpx.AsyncClient:
    """No redirects, so that a key goes only where it was sent; no proxies from the environment."""
    limits = httpx.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=20)
    return httpx.AsyncClient(
        transport=_Capped(httpx.AsyncHTTPTransport(limits=limits)),
        timeout=_TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "darkroom"},
    )


class _Capped(httpx.AsyncBaseTransport):
    """Ends an answer that grows over the cap, as if the connection had broken.

    One with a content encoding ends at once: unpacked, it could be a thousand times the cap.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.ReadError("answer with a content encoding that was not asked for")
        response.stream = _CappedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _CappedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for chunk in self._inner:
            total += len(chunk)
            if total > _LARGEST_ANSWER_BYTES:
                raise httpx.ReadError(f"answer over {_LARGEST_ANSWER_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
