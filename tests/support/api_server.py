"""A real server of ours in the tests' own process, and clients that write and read single bytes."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from api.server.addresses import TrustedProxies
from api.server.config import Server, ServerConfig
from api.server.connections import ConnectionLimits, ConnectionTable
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

_ANSWER_SECONDS = 10.0
_SMALL_BUFFER_BYTES = 4096


@dataclass
class Answer:
    """A response as it was read. connection_ended: whether the server closed after it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def get(self, path: str, *headers: str) -> Answer:
        self.send(request(path, *headers))
        return await self.answer()

    async def answer(self) -> Answer:
        """Read one whole response."""
        async with asyncio.timeout(scaled(_ANSWER_SECONDS)):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(first.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Read until the server closes the connection. Raises TimeoutError if it does not."""
        async with asyncio.timeout(scaled(_ANSWER_SECONDS)):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    @asynccontextmanager
    async def dripping(self, drop: bytes) -> AsyncIterator[None]:
        """Send a drop about thirty times a second for the block."""
        drip = asyncio.create_task(self._drip(drop))
        try:
            yield
        finally:
            drip.cancel()

    async def _drip(self, drop: bytes) -> None:
        def sent() -> bool:
            if not self.writer.is_closing():
                self.writer.write(drop)
            return False

        await eventually(sent, _ANSWER_SECONDS)


@dataclass
class Running:
    """A running server."""

    server: Server
    clients: list[Client] = field(default_factory=list)

    @property
    def table(self) -> ConnectionTable:
        return self.server.config.table

    async def client(self, data: bytes = b"", *, reads: bool = True) -> Client:
        """Connect and send these bytes. reads: False for one that never takes a byte."""
        raw = socket.socket()
        if not reads:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.server.port))
        client = Client(*await asyncio.open_connection(sock=raw))
        if not reads:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        self.clients.append(client)
        client.send(data)
        return client

    async def has_open(self, number: int) -> None:
        await eventually(lambda: len(self.table) == number)


@asynccontextmanager
async def running(
    app: ASGIApp, limits: ConnectionLimits | None = None, *, proxies: tuple[str, ...] = ()
) -> AsyncIterator[Running]:
    """Serve the application on a free port of the loopback interface."""
    config = ServerConfig(
        app, limits=limits or ConnectionLimits(), proxies=TrustedProxies(proxies), grace_seconds=1
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    run = Running(server)
    try:
        yield run
    finally:
        for client in run.clients:
            client.writer.transport.abort()
        server.should_exit = True
        await serving


def request(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: api", *headers, "", ""]).encode()


def closed(reason: str) -> Callable[[], float]:
    """Return a function that says how many connections were closed for this reason since now."""

    def count() -> float:
        return REGISTRY.get_sample_value("darkroom_connections_closed_total", {"reason": reason}) or 0.0

    before = count()
    return lambda: count() - before
