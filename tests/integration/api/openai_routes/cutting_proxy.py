"""A TCP proxy that cuts connections where a test says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

_PIECE_BYTES = 1024


@dataclass(frozen=True)
class Cut:
    """Where a connection ends.

    Attributes:
        sent_bytes: After so many bytes of what the client sends.
        received_bytes: After so many bytes of what the server sends.
        when: Once this is set.
    """

    sent_bytes: int | None = None
    received_bytes: int | None = None
    when: asyncio.Event | None = None


class CuttingProxy:
    """cuts: of the first connections, in their order; None for one that is not cut. Later ones are not.

    port: where new connections lead.
    """

    def __init__(self, port: int, cuts: Sequence[Cut | None]) -> None:
        self.port = port
        self._cuts = list(cuts)
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        cut = (self._cuts[number] if number < len(self._cuts) else None) or Cut()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.port)
        tasks = [
            asyncio.create_task(_copy(reader, up_writer, cut.sent_bytes)),
            asyncio.create_task(_copy(up_reader, writer, cut.received_bytes)),
        ]
        if cut.when is not None:
            tasks.append(asyncio.create_task(cut.when.wait()))  # type: ignore[arg-type]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for each in (writer, up_writer):
            each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
    """Copy until the end, or so many bytes."""
    copied = 0
    with suppress(ConnectionError):
        while limit is None or copied < limit:
            piece = await reader.read(_PIECE_BYTES if limit is None else min(_PIECE_BYTES, limit - copied))
            if not piece:
                return
            copied += len(piece)
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def cutting(url: str, *cuts: Cut | None) -> AsyncIterator[CuttingProxy]:
    """Run one before this server for the block."""
    proxy = CuttingProxy(int(url.rpartition(":")[2]), cuts)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
