"""A submit goes out on a connection of its own."""

import asyncio

from adapters.providers.http.client import provider_client
from adapters.transport.http import Request

_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_post_never_reuses_a_connection_and_a_get_does() -> None:
    connections: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen: list[bytes] = []
        connections.append(seen)
        try:
            while True:
                seen.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[0])
                writer.write(_RESPONSE)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, provider_client() as http:
        for method in ("GET", "GET", "POST", "POST", "GET"):
            await http.send(Request(method, url))
    assert connections == [[b"GET", b"GET", b"GET"], [b"POST"], [b"POST"]]
