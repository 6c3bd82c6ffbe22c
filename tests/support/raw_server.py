"""A real server that responds with exactly the bytes that a test gives, and counts connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.support.eventually import eventually
from tests.support.time_limits import scaled

Reply = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

_MAX_REQUEST_SECONDS = 10.0


class RawServer:
    """heads: each request's lines. connections: the number of all, also of silent ones."""

    def __init__(self, reply: Reply) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._reply = reply

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        # The client may disconnect in the middle, and no request outlives its test by much.
        with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(scaled(_MAX_REQUEST_SECONDS)):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_announced_length(head))
                self.heads.append(head)
                await self._reply(head, writer)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(reply: Reply) -> AsyncIterator[RawServer]:
    raw = RawServer(reply)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()


def always(answer: bytes) -> Reply:
    """Respond with the same bytes to every request, then close the connection."""

    async def reply(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return reply


def dripping(start: bytes, drop: bytes) -> Reply:
    """Send a start, then a little about thirty times a second until the client disconnects."""

    async def reply(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(start)

        def drip() -> bool:
            writer.write(drop)
            return writer.is_closing()

        await eventually(drip, _MAX_REQUEST_SECONDS)

    return reply


def flooding(start: bytes, wave: bytes) -> Reply:
    """Send a start, then more as fast as the client reads."""

    async def reply(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while not writer.is_closing():
            writer.write(wave)
            await writer.drain()

    return reply


def answer(status: int, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """Return a whole response. length: a false Content-Length."""
    announced = f"Content-Length: {len(body) if length is None else length}"
    return head(status, announced, *headers) + body


def head(status: int, *headers: str) -> bytes:
    """Return a response's head without a length."""
    return "\r\n".join([f"HTTP/1.1 {status} SyncResult", "Connection: close", *headers, "", ""]).encode()


def _announced_length(request_head: bytes) -> int:
    for line in request_head.decode("latin-1").lower().split("\r\n"):
        if line.startswith("content-length:"):
            return int(line.partition(":")[2])
    return 0
