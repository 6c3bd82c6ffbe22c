"""What a client may keep the server waiting for: a head, a body that nobody reads, its own reading."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from api.server.connections import ConnectionLimits
from tests.support.api_server import Client, closed, request, running
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

SHORT_SECONDS = 0.2
# More than the kernel's buffers of both ends take.
LARGE_BYTES = 40_000_000
CHUNK_BYTES = 50_000
QUICK = ConnectionLimits(head_seconds=SHORT_SECONDS, drain_seconds=SHORT_SECONDS, write_seconds=SHORT_SECONDS)
PATIENT = ConnectionLimits(write_seconds=SHORT_SECONDS)
HEAD = request("/hello")
PARTIAL = b"GET /hello HTTP/1.1\r\nHost: api\r\n"


class Application:
    """Responses of all sizes."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.app.add_api_route("/hello", self.hello, methods=["GET", "POST"])
        self.app.add_api_route("/large", self.large)
        self.app.add_api_route("/all", self.all)

    async def hello(self) -> str:
        return "hello"

    async def large(self) -> Response:
        return StreamingResponse(self._chunks(), headers={"Content-Length": str(LARGE_BYTES)})

    async def all(self, request: Request) -> Response:
        """Return it in one piece."""
        return Response(bytes(int(request.query_params["size"])))

    async def _chunks(self) -> AsyncIterator[bytes]:
        for _ in range(LARGE_BYTES // CHUNK_BYTES):
            yield bytes(CHUNK_BYTES)


@pytest.fixture
def application() -> Application:
    return Application()


async def test_a_silent_socket_is_closed_without_a_word(application: Application) -> None:
    silent = closed("silent")
    async with running(application.app, QUICK) as server:
        assert await (await server.client()).rest() == b""
        await server.has_open(0)

    assert silent() == 1


@pytest.mark.parametrize("start", [b"G", PARTIAL, b"GET /hello HTTP/1.1\r\nX: "])
async def test_a_head_that_is_not_whole_in_time_is_refused(application: Application, start: bytes) -> None:
    async with running(application.app, QUICK) as server:
        client = await server.client(start)
        async with client.dripping(b"a: b\r\n" if start == PARTIAL else b"x"):
            answer = await client.answer()
            assert await client.rest() == b""
        await server.has_open(0)

    assert (answer.status, answer.code) == (408, "request_timeout")
    assert (answer.headers["connection"], answer.headers["content-type"]) == (
        "close",
        "application/problem+json",
    )


async def test_the_second_head_on_a_connection_has_as_long_as_the_first(application: Application) -> None:
    async with running(application.app, QUICK) as server:
        client = await server.client()
        first = await client.get("/hello")
        async with client.dripping(b"x"):
            second = await client.answer()
            await client.rest()

    assert (first.status, second.status) == (200, 408)


async def test_an_idle_connection_is_not_late_with_its_next_head(application: Application) -> None:
    late = closed("silent")
    async with running(application.app, ConnectionLimits(head_seconds=0.1)) as server:
        client = await server.client()
        await client.get("/hello")
        other = await server.client()
        await other.rest()  # for which the time of a head has passed
        again = await client.get("/hello")

    assert (again.status, late()) == (200, 1)


async def test_requests_in_a_row_are_each_answered(application: Application) -> None:
    async with running(application.app, QUICK) as server:
        client = await server.client(HEAD + HEAD + PARTIAL + b"\r\n")
        answers = [(await client.answer()).status for _ in range(3)]

    assert answers == [200] * 3


async def test_a_request_in_progress_is_not_late(application: Application) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @application.app.get("/slow")
    async def slow() -> str:
        begun.set()
        await go_on.wait()
        return "at last"

    async with running(application.app, QUICK) as server:
        client = await server.client(request("/slow"))
        await begun.wait()
        await (await server.client()).rest()  # for which the time of a head has passed
        go_on.set()
        answer = await client.answer()

    assert answer.status == 200


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 100, b"\r\n\r\n", b"a" * 70_000, b"GET\r\n\r\n"]
)
async def test_what_is_not_http_is_refused_at_once(
    application: Application, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(application.app) as server:
        client = await server.client(garbage)
        answer = await client.answer()
        await client.rest()
        await server.has_open(0)

    assert (answer.status, answer.code) == (400, "invalid_input")
    assert caplog.records == []


@pytest.mark.parametrize("sent", [b"", PARTIAL, HEAD], ids=len)
async def test_a_half_closed_connection_is_closed(application: Application, sent: bytes) -> None:
    async with running(application.app) as server:
        client = await server.client(sent)
        client.writer.write_eof()
        await client.rest()
        await server.has_open(0)


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_a_body_that_nobody_reads_does_not_hold_the_connection(
    application: Application, framing: str
) -> None:
    slow = closed("slow_body")
    async with running(application.app, QUICK) as server:
        client = await server.client(request("/hello", framing, method="POST"))
        answer = await client.answer()
        async with client.dripping(b"1\r\nx\r\n"):
            await client.rest()
        await server.has_open(0)

    assert (answer.status, slow()) == (200, 1)


async def test_a_body_that_comes_after_the_response_leaves_the_connection_usable(
    application: Application,
) -> None:
    async with running(application.app) as server:
        client = await server.client(request("/hello", "Content-Length: 4", method="POST"))
        first = await client.answer()
        client.send(b"body")
        second = await client.get("/hello")

    assert (first.status, second.status) == (200, 200)


async def test_a_malformed_body_ends_the_request(application: Application) -> None:
    lengths: list[int] = []

    @application.app.post("/read")
    async def read(request: Request) -> int:
        lengths.append(len(await request.body()))
        return 1

    async with running(application.app) as server:
        client = await server.client(request("/read", "Transfer-Encoding: chunked", method="POST"))
        client.send(b"no number\r\n")
        answer = await client.answer()
        await client.rest()
        await server.has_open(0)

    assert (answer.status, lengths) == (400, [])


async def test_a_client_that_does_not_read_is_dropped(application: Application) -> None:
    slow = closed("slow_reader")
    async with running(application.app, PATIENT) as server:
        await server.client(request("/large"), reads=False)
        await eventually(lambda: bool(server.server.server_state.tasks))
        await server.has_open(0)
        await eventually(lambda: not server.server.server_state.tasks)

    assert slow() == 1


async def test_what_is_left_of_a_response_in_one_piece_is_dropped(application: Application) -> None:
    slow = closed("slow_reader")
    async with running(application.app, PATIENT) as server:
        await server.client(request(f"/all?size={LARGE_BYTES}"), reads=False)
        await server.has_open(1)
        await server.has_open(0)

    assert slow() == 1


async def test_what_is_left_when_the_server_closes_is_dropped(application: Application) -> None:
    """Also less than what makes the transport ask for a pause."""
    async with running(application.app, PATIENT) as server:
        client = await server.client(reads=False)
        protocol = next(iter(server.server.server_state.connections))
        raw: socket.socket = protocol.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.send(request("/all?size=60000", "Connection: close"))
        await eventually(lambda: protocol.transport.get_write_buffer_size() > 0)
        await server.has_open(0)


async def test_a_client_that_reads_steadily_gets_all(application: Application) -> None:
    # Enough for a busy machine.
    async with running(application.app, ConnectionLimits(write_seconds=scaled(5))) as server:
        client = await server.client(request("/large"))
        head = await client.reader.readuntil(b"\r\n\r\n")
        body = await client.reader.readexactly(LARGE_BYTES)

    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == LARGE_BYTES


async def test_an_upgrade_is_not_made(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    async with running(application.app, QUICK) as server:
        client = await server.client()
        answer = await client.get("/hello", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        async with client.dripping(b"x"):
            late = await client.answer()

    assert (answer.status, late.status, caplog.records) == (200, 408, [])


async def test_a_stop_does_not_wait_for_silent_clients(application: Application) -> None:
    async with running(application.app, ConnectionLimits(head_seconds=1000)) as server:
        clients: list[Client] = [await server.client(PARTIAL), await server.client()]
        await server.has_open(2)
        server.server.should_exit = True
        for client in clients:
            await client.rest()


@pytest.mark.parametrize(("chunk_bytes", "status"), [(1, 400), (64, 400), (128, 400), (1000, 200)])
async def test_a_body_in_crumbs_is_refused(application: Application, chunk_bytes: int, status: int) -> None:
    @application.app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    chunk = b"%x\r\n%s\r\n" % (chunk_bytes, b"x" * chunk_bytes)
    count = 1_000
    async with running(application.app) as server:
        client = await server.client(request("/read", "Transfer-Encoding: chunked", method="POST"))
        client.send(chunk * count + b"0\r\n\r\n")
        answer = await client.answer()

    assert answer.status == status
    assert status == 400 or answer.body.decode() == str(chunk_bytes * count)


async def test_a_few_small_chunks_are_no_crumbs(application: Application) -> None:
    async with running(application.app) as server:
        client = await server.client()
        for _ in range(3):
            client.send(request("/hello", "Transfer-Encoding: chunked", method="POST"))
            client.send(b"1\r\nx\r\n" * 200 + b"0\r\n\r\n")
            assert (await client.answer()).status == 200
