"""A proxy to a server that a test can close; the server itself stays available to others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK_BYTES = 65_536


class TemporalProxy:
    """Passes bytes between clients of `address` and one server."""

    def __init__(self, server_address: str) -> None:
        self._host, _, port = server_address.rpartition(":")
        self._port = int(port)
        self._open = asyncio.Event()
        self._open.set()
        self._guests: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._own_port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._own_port}"

    async def listen(self) -> None:
        self._listener = await asyncio.start_server(self._let_in, "127.0.0.1", self._own_port)
        self._own_port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close all connections and accept no new ones."""
        assert self._listener is not None
        self._listener.close()
        await self._listener.wait_closed()
        for guest in self._guests:
            guest.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Behave like a stopped server: connections break, and new ones are refused."""
        await self.close()
        try:
            yield
        finally:
            await self.listen()

    @asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        """Behave like a paused server: connections are accepted, and get no response."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = asyncio.create_task(self._pass(reader, writer))
        self._guests.add(guest)
        guest.add_done_callback(self._guests.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways = [writer]
        try:
            there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
            ways.append(there_writer)
            await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer))
        except OSError:
            return  # one side hung up, so the other is hung up on
        finally:
            for way in ways:
                way.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError
