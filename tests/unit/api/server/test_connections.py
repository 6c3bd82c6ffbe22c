"""Who is closed, and who is let in, where there are too many connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from api.http.client import client_of
from api.server.connections import ConnectionLimits
from tests.support.api_server import Client, Running, closed, request, running
from tests.support.eventually import eventually

PROXY = "127.0.0.1"
ANNA, BERT = "X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 203.0.113.2"
FEW = 3
# More than the kernel's buffers of both ends take.
LARGE_BYTES = 10_000_000


class Application:
    """`/slow` responds when `go_on` is set, `/large` with much, `/in` is a request with a genuine key."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.in_progress = 0
        self.large_responses = 0
        self.go_on = asyncio.Event()
        self.app.add_api_route("/hello", self.hello)
        self.app.add_api_route("/slow", self.slow)
        self.app.add_api_route("/large", self.large)
        self.app.add_api_route("/in", self.authenticated)
        self.app.add_api_route("/in/slow", self.authenticated_and_slow)
        self.app.add_api_route("/seems/in/slow", self.recognized_and_slow)

    async def hello(self, request: Request) -> str | None:
        return request.client.host if request.client is not None else None

    async def large(self) -> Response:
        self.large_responses += 1
        return Response(bytes(LARGE_BYTES))

    async def slow(self) -> None:
        self.in_progress += 1
        await self.go_on.wait()

    async def authenticated(self, request: Request) -> None:
        await client_of(request).mark_authenticated("ten_1")

    async def recognized_and_slow(self, request: Request) -> None:
        client_of(request).mark_recognized("ten_1")
        await self.slow()

    async def authenticated_and_slow(self, request: Request) -> None:
        await client_of(request).mark_authenticated("ten_1")
        await self.slow()


@pytest.fixture
def application() -> Application:
    return Application()


@asynccontextmanager
async def serving(
    application: Application, proxies: tuple[str, ...] = (), **limits: Any
) -> AsyncIterator[Running]:
    bounds = ConnectionLimits(**{"head_seconds": 1000.0, **limits})
    async with running(application.app, bounds, proxies=proxies) as server:
        yield server
        application.go_on.set()


async def opened(server: Running, number: int, data: bytes = b"") -> list[Client]:
    """Open connections one after the other, so that their order is known."""
    clients = []
    for _ in range(number):
        clients.append(await server.client(data))
        await server.has_open(len(clients))
    return clients


@pytest.mark.parametrize("limit", ["max_per_address", "max_anonymous", "max_connections"])
@pytest.mark.parametrize("sent", [b"", b"GET /hello HTTP/1.1\r\nHost:"], ids=["silent", "partial"])
async def test_the_oldest_silent_connection_makes_room(
    application: Application, limit: str, sent: bytes
) -> None:
    evicted = closed("evicted")
    async with serving(application, (), **{limit: FEW}) as server:
        oldest, *_ = await opened(server, FEW, sent)

        new = await server.client()
        answer = await new.get("/hello")

        assert await oldest.rest() == b""
        assert (answer.status, len(server.table), evicted()) == (200, FEW, 1)


@pytest.mark.parametrize("limit", ["max_per_address", "max_anonymous", "max_connections"])
async def test_who_owes_the_rest_of_a_body_after_the_response_makes_room(
    application: Application, limit: str
) -> None:
    unread = request("/hello", "Content-Length: 100", method="POST")
    async with serving(application, (), **{limit: FEW}) as server:
        oldest, *others = await opened(server, FEW, unread)
        for each in (oldest, *others):
            assert (await each.answer()).status == 405
            each.send(b"x")

        answer = await (await server.client()).get("/hello")

        assert await oldest.rest() == b""
        assert (answer.status, len(server.table)) == (200, FEW)


@pytest.mark.parametrize("more", [(), ("Connection: close",)], ids=["kept", "closing"])
@pytest.mark.parametrize("pipelined", [1, 3])
async def test_who_does_not_read_makes_room(
    application: Application, more: tuple[str, ...], pipelined: int
) -> None:
    head = request("/large") * (pipelined - 1) + request("/large", *more)
    async with serving(application, max_per_address=FEW) as server:
        for number in range(FEW):
            await server.client(head, reads=False)
            await server.has_open(number + 1)
        await eventually(lambda: application.large_responses >= FEW)

        answer = await (await server.client()).get("/hello")

        assert (answer.status, len(server.table)) == (200, FEW)


async def test_a_flood_of_silent_connections_keeps_nobody_out(application: Application) -> None:
    async with serving(application, max_per_address=20) as server:
        for _ in range(10):
            await asyncio.gather(*(server.client() for _ in range(20)))
            assert (await (await server.client()).get("/hello")).status == 200
            assert len(server.table) <= 20


async def test_a_connection_with_a_request_is_not_closed_for_another(application: Application) -> None:
    refused = closed("refused")
    async with serving(application, max_per_address=FEW) as server:
        busy = await opened(server, FEW, request("/slow"))

        assert await (await server.client()).rest() == b""
        application.go_on.set()
        assert [(await client.answer()).status for client in busy] == [200] * FEW

    assert refused() == 1


@pytest.mark.parametrize("limit", ["max_per_address", "max_anonymous"])
async def test_authenticated_connections_count_against_nobody(application: Application, limit: str) -> None:
    async with serving(application, (), **{limit: FEW}) as server:
        for _ in range(3 * FEW):
            client = await server.client()
            assert (await client.get("/in")).status == 200
        await server.has_open(3 * FEW)
        silent = await opened_more(server, FEW)

        for client in server.clients:
            if client not in silent:
                assert (await client.get("/in")).status == 200


async def test_idle_connections_of_one_key_make_room(application: Application) -> None:
    async with serving(application, (), max_connections=FEW, max_anonymous=2) as server:
        idle = []
        for _ in range(FEW):
            idle.append(await server.client())
            assert (await idle[-1].get("/in")).status == 200

        stranger = await server.client()
        assert (await stranger.get("/hello")).status == 200
        assert await idle[0].rest() == b""
        assert [(await client.get("/in")).status for client in idle[1:]] == [200] * (FEW - 1)


async def opened_more(server: Running, number: int) -> list[Client]:
    before = len(server.table)
    clients = [await server.client() for _ in range(number)]
    await server.has_open(before + number)
    return clients


@pytest.mark.parametrize("path", ["/in/slow", "/seems/in/slow"])
async def test_requests_that_hold_a_key_count_against_nobody(application: Application, path: str) -> None:
    async with serving(application, max_per_address=FEW) as server:
        clients = [await server.client(request(path)) for _ in range(3 * FEW)]
        await server.has_open(3 * FEW)
        assert (await (await server.client()).get("/hello")).status == 200
        application.go_on.set()

        assert [(await client.answer()).status for client in clients] == [200] * 3 * FEW


async def test_a_response_without_a_key_leaves_the_connection_anonymous(application: Application) -> None:
    async with serving(application, max_per_address=FEW) as server:
        clients = await opened(server, FEW)
        assert [(await client.get("/hello")).status for client in clients] == [200] * FEW

        await server.client()
        assert await clients[0].rest() == b""


async def test_closed_connections_make_room(application: Application) -> None:
    async with serving(application, max_per_address=FEW) as server:
        for client in await opened(server, FEW, request("/hello")):
            await client.answer()
            client.writer.close()
        await server.has_open(0)
        assert await opened(server, FEW)


async def test_behind_a_trusted_proxy_each_client_has_its_limit(application: Application) -> None:
    async with serving(application, proxies=(PROXY,), max_per_address=FEW, max_anonymous=FEW) as server:
        clients = [await server.client(request("/slow", ANNA)) for _ in range(FEW)]
        await server.has_open(FEW)
        await eventually(lambda: application.in_progress == FEW)

        refused = await (await server.client()).get("/hello", ANNA)
        other = await (await server.client()).get("/hello", BERT)
        application.go_on.set()
        answers = [(await client.answer()).status for client in clients]
        again = await (await server.client()).get("/hello", ANNA)

    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "too_many_at_once", "1")
    assert (other.status, again.status) == (200, 200)
    assert answers == [200] * FEW


@pytest.mark.parametrize("path", ["/in/slow", "/seems/in/slow"])
async def test_behind_a_trusted_proxy_requests_with_a_key_count_against_nobody(
    application: Application, path: str
) -> None:
    async with serving(application, proxies=(PROXY,), max_per_address=FEW) as server:
        for _ in range(2 * FEW):
            await server.client(request(path, ANNA))
        await eventually(lambda: application.in_progress == 2 * FEW)

        assert (await (await server.client()).get("/hello", ANNA)).status == 200


async def test_the_connections_of_a_proxy_are_not_closed_for_others(application: Application) -> None:
    async with serving(application, proxies=(PROXY,), max_per_address=FEW, max_anonymous=FEW) as server:
        clients = await opened(server, 3 * FEW)

        assert [(await client.get("/hello", ANNA)).status for client in clients] == [200] * 3 * FEW


@pytest.mark.parametrize(
    ("proxies", "headers", "client"),
    [
        ((), ("X-Forwarded-For: 203.0.113.9",), PROXY),
        ((PROXY,), (), PROXY),
        ((PROXY,), ("X-Forwarded-For: 203.0.113.9",), "203.0.113.9"),
        ((PROXY,), ("X-Forwarded-For: 198.51.100.1, 203.0.113.9",), "203.0.113.9"),
        ((PROXY,), ("X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.9"), "203.0.113.9"),
        ((PROXY, "10.0.0.0/8"), ("X-Forwarded-For: 1.2.3.4, 203.0.113.9, 10.1.2.3",), "203.0.113.9"),
        (("192.0.2.0/24",), ("X-Forwarded-For: 203.0.113.9",), PROXY),
        ((PROXY,), ("X-Forwarded-For: 203.0.113.9, unknown",), PROXY),
        ((PROXY,), ("X-Forwarded-For: \xff",), PROXY),
        ((PROXY,), ("X-Forwarded-For: 2001:db8::1",), "2001:db8::1"),
        ((PROXY,), ("Forwarded: for=203.0.113.9",), PROXY),
        ((PROXY,), ("X-Real-IP: 203.0.113.9",), PROXY),
    ],
)
async def test_the_address_comes_from_trusted_proxies_alone(
    application: Application, proxies: tuple[str, ...], headers: tuple[str, ...], client: str
) -> None:
    async with serving(application, proxies=proxies) as server:
        answer = await (await server.client()).get("/hello", *headers)

    assert answer.body.decode() == f'"{client}"'


async def test_a_stranger_cannot_move_what_counts_to_another_address(application: Application) -> None:
    async with serving(application, max_per_address=FEW) as server:
        for number in range(FEW):
            await server.client(request("/slow", f"X-Forwarded-For: 203.0.113.{number}"))
        await server.has_open(FEW)
        await eventually(lambda: application.in_progress == FEW)

        assert await (await server.client()).rest() == b""
