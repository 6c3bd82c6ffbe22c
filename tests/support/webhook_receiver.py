"""A receiver of webhooks that fails in every way: each path has its own list of responses."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook

from tests.support.eventually import eventually

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events of a batch."""
        return list(json.loads(self.body))

    def verified_by(self, secret: str) -> dict[str, Any]:
        """Return the body, verified by both libraries; raise what they raise."""
        SvixWebhook(secret).verify(self.body, self.headers)
        assert Webhook(secret).verify(self.body, self.headers) == self.json
        return self.json


def responding(status: int, *headers: str, body: bytes = b"") -> Respond:
    async def respond(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Answer", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return respond


OK = responding(204)


async def hanging(writer: asyncio.StreamWriter) -> None:
    """Never answer, until the other side is gone."""
    await asyncio.Event().wait()


async def closing(writer: asyncio.StreamWriter) -> None:
    """Close in the middle of the head."""
    writer.write(b"HTTP/1.1 2")


async def cut(writer: asyncio.StreamWriter) -> None:
    """Close in the middle of the body of a success."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nten bytes.")


async def dripping(writer: asyncio.StreamWriter) -> None:
    """Send a head that never ends, a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\n")

    def sent() -> bool:
        writer.write(b"x")
        return writer.is_closing()

    await eventually(sent)


def flooding(size_bytes: int) -> Respond:
    """Answer 200 with a body that is much too large."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size_bytes}\r\n\r\n".encode())
        for _ in range(size_bytes // 100_000):
            writer.write(b"y" * 100_000)
            await writer.drain()

    return respond


@dataclass
class Receiver:
    """scripts: by path, the responses in order; the last one stays. Without one: 204."""

    origin: str
    scripts: dict[str, Sequence[Respond]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    def url(self, path: str, *responses: Respond) -> str:
        """Return the URL of a path that responds like this."""
        self.scripts[path] = responses or (OK,)
        return f"{self.origin}{path}"

    def at(self, path: str) -> list[Received]:
        return [each for each in self.received if each.path == path]

    async def got(self, path: str, count: int = 1, timeout_seconds: float = 60.0) -> list[Received]:
        """Wait for so many requests at a path."""

        def enough() -> list[Received] | None:
            found = self.at(path)
            return found if len(found) >= count else None

        return await eventually(enough, timeout_seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            path = first.split()[1]
            script = self.scripts.get(path, (OK,))
            respond = script[min(len(self.at(path)), len(script) - 1)]
            self.received.append(Received(path, headers, body))
            answering = asyncio.ensure_future(respond(writer))
            gone = asyncio.create_task(reader.read())
            done, pending = await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            for task in done:
                task.result()
            await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of the loopback interface."""
    receiver = Receiver("")
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls is not None else "http"
    receiver.origin = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
