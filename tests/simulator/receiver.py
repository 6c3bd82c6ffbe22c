"""A receiver of webhooks, with the responses that a test sets."""

import asyncio
from dataclasses import dataclass

from tests.support.eventually import eventually


@dataclass(frozen=True)
class Received:
    """One received request. headers: by name in lower case. body: the raw bytes."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Receives webhooks. statuses: of the first responses; then, and by default, 204."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []
        self._server: asyncio.Server | None = None
        self._port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def of(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    async def first(self, path: str = "/hook") -> Received:
        return (await eventually(lambda: self.of(path)))[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            self.received.append(Received(head[0].split(" ")[1], headers, body))
            status = self.statuses.pop(0) if self.statuses else 204
            writer.write(
                f"HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
