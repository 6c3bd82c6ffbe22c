"""A one-page HTTP server for a process that has no API: is it working?"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_REQUEST_SECONDS = 5
_MAX_REQUEST_BYTES = 8192


@asynccontextmanager
async def health_server(host: str, port: int, is_healthy: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve `GET /healthz`: 200 while `is_healthy` returns true, else 503."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, is_healthy()))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has disconnected, or does not speak HTTP
        finally:
            writer.close()

    server = await asyncio.start_server(answer, host, port, limit=_MAX_REQUEST_BYTES)
    async with server:
        yield


def _response(head: bytes, healthy: bool) -> bytes:
    if not head.startswith((b"GET /healthz ", b"HEAD /healthz ")):
        status, body = "404 Not Found", b""
    elif healthy:
        status, body = "200 OK", b'{"status":"ok"}'
    else:
        status, body = "503 Service Unavailable", b'{"status":"unavailable"}'
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body
