"""What the one HTTP module promises to adapters: which error means what, and where a guarded request goes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.transport.errors import HttpError, NotConnected, Unsendable
from adapters.transport.guard import C, Connect
from adapters.transport.http import (
    GuardedPool,
    HttpClient,
    Request,
    Response,
    Timeouts,
    Url,
    open_client,
    response_of,
)
from domain.errors import ResultUnusable
from tests.support.raw_server import RawServer, always, answer, serving
from tests.support.tls_front import Authority

URL = "https://provider.test/v1?key=hidden"
TIMEOUTS = Timeouts(connect_seconds=5, read_seconds=5, write_seconds=5, pool_seconds=5)
ERRORS: list[tuple[Exception, type[HttpError]]] = [
    (httpx.ConnectError(URL), NotConnected),
    (httpx.ConnectTimeout(URL), NotConnected),
    (httpx.PoolTimeout(URL), NotConnected),
    (httpx.UnsupportedProtocol(URL), Unsendable),
    (httpx.InvalidURL(URL), Unsendable),
    (httpx.LocalProtocolError("Illegal header value b'hidden'"), Unsendable),
    (httpx.LocalProtocolError("Too little data for declared Content-Length"), HttpError),
    (httpx.RemoteProtocolError(URL), HttpError),
    (httpx.ReadTimeout(URL), HttpError),
    (httpx.ReadError(URL), HttpError),
    (httpx.WriteTimeout(URL), HttpError),
    (httpx.WriteError(URL), HttpError),
    (httpx.CloseError(URL), HttpError),
    (httpx.DecodingError(URL), HttpError),
    (httpx.TooManyRedirects(URL), HttpError),
]


def client_with(answer: Callable[[httpx.Request], httpx.Response]) -> HttpClient:
    return HttpClient(httpx.AsyncClient(transport=httpx.MockTransport(answer)))


async def sent(http: HttpClient, url: str = URL) -> None:
    await http.send(Request("GET", url))


async def streamed(http: HttpClient, url: str = URL) -> None:
    async with http.stream(Request("GET", url)) as response:
        async for _ in response.chunks:
            pass


@pytest.mark.parametrize("call", [sent, streamed])
@pytest.mark.parametrize(("error", "expected"), ERRORS, ids=lambda value: repr(value)[:40])
async def test_an_error_of_the_client_is_one_of_ours_and_tells_no_address(
    call: Callable[[HttpClient], Coroutine[Any, Any, None]], error: Exception, expected: type[HttpError]
) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(HttpError) as caught:
        await call(client_with(fail))

    assert (type(caught.value), str(caught.value)) == (expected, type(error).__name__)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("call", [sent, streamed])
async def test_a_body_that_breaks_off_is_an_error(
    call: Callable[[HttpClient, str], Coroutine[Any, Any, None]],
) -> None:
    half = serving(always(answer(200, b"half", length=8)))
    async with half as server, open_client(TIMEOUTS, max_connections=1, max_response_bytes=None) as http:
        with pytest.raises(HttpError, match="RemoteProtocolError"):
            await call(http, server.origin)


def test_a_response_that_was_put_together_is_read_like_any_other() -> None:
    response: Response = response_of(503, {"Retry-After": "7"}, '{"error": "später"}'.encode())

    assert (response.status_code, response.headers["retry-after"]) == (503, "7")
    assert (response.json(), response.text) == ({"error": "später"}, '{"error": "später"}')
    assert (response.is_server_error, response.is_success, response.is_redirect) == (True, False, False)


class FixedGuard:
    """Leads every name to one address; raises its error if it has one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        self._error = error

    async def connect(self, host: str, port: int, connect: Connect[C]) -> C:
        self.asked.append((host, port))
        if self._error is not None:
            raise self._error
        return await connect("127.0.0.1")


async def fetched(
    guard: FixedGuard, url: str, tls: ssl.SSLContext | None = None
) -> tuple[int, dict[str, str], bytes]:
    async with (
        GuardedPool(guard, tls, TIMEOUTS, max_connections=1) as pool,
        pool.stream(Url(url), {"Accept": "image/*"}) as response,
    ):
        body = b"".join([chunk async for chunk in response.chunks])
        return response.status_code, dict(response.headers), body


@pytest.fixture
async def site() -> AsyncIterator[RawServer]:
    async with serving(always(answer(200, b"image", "X-Name: Value"))) as server:
        yield server


async def test_the_guard_chooses_the_address_of_a_name(site: RawServer) -> None:
    guard = FixedGuard()
    status, headers, body = await fetched(guard, f"http://images.invalid:{site.port}/a?b")

    assert (status, headers["x-name"], body) == (200, "Value", b"image")
    assert guard.asked == [("images.invalid", site.port)]
    host = f"Host: images.invalid:{site.port}"
    assert site.heads == [f"GET /a?b HTTP/1.1\r\n{host}\r\nAccept: image/*\r\n\r\n".encode()]


async def test_tls_verifies_the_name_and_not_the_address(tmp_path: Path) -> None:
    authority, site = Authority(tmp_path), RawServer(always(answer(200, b"image")))
    pair = authority.pair("images.invalid")
    own, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    own.load_cert_chain(pair.cert_file, pair.key_file)
    trusting.load_verify_locations(authority.ca_file)
    async with await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=own) as server:
        port = server.sockets[0].getsockname()[1]
        _, _, body = await fetched(FixedGuard(), f"https://images.invalid:{port}/", trusting)
        for url, tls in (
            (f"https://other.invalid:{port}/", trusting),
            (f"https://images.invalid:{port}/", None),
        ):
            with pytest.raises(NotConnected):
                await fetched(FixedGuard(), url, tls)

    assert (body, len(site.heads)) == (b"image", 1)


@pytest.mark.parametrize("error", [ResultUnusable("private"), NotConnected("no name")])
async def test_what_a_guard_raises_ends_the_request(site: RawServer, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        await fetched(FixedGuard(error), site.origin)

    assert (caught.value, site.connections) == (error, 0)


async def test_an_address_that_nobody_listens_at_is_no_connection() -> None:
    async with serving(always(b"")) as server:
        pass
    with pytest.raises(NotConnected, match="ConnectError"):
        await fetched(FixedGuard(), server.origin)


@pytest.mark.parametrize("reply", [b"", b"SSH-2.0\r\n", answer(200, b"half", length=8)])
async def test_a_response_that_is_not_whole_is_an_error(reply: bytes) -> None:
    async with serving(always(reply)) as server:
        with pytest.raises(HttpError) as caught:
            await fetched(FixedGuard(), server.origin)

    assert (type(caught.value), str(caught.value)) == (HttpError, "RemoteProtocolError")
