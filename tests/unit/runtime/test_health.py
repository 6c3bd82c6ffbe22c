"""The health server of a process without an API."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devstack.process.ports import pick_free
from runtime.health import health_server
from tests.support.time_limits import scaled


class CheckedProcess:
    """The process whose health is requested."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.healthy = True

    async def asked(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        async with asyncio.timeout(scaled(3)):
            writer.write(request)
            if not request.endswith(b"\r\n\r\n"):
                writer.write_eof()
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""
            finally:
                writer.close()


@pytest.fixture
async def checked() -> AsyncIterator[CheckedProcess]:
    checked = CheckedProcess(pick_free())
    async with health_server("127.0.0.1", checked.port, lambda: checked.healthy):
        yield checked


@pytest.mark.parametrize(("healthy", "status"), [(True, b"200 OK"), (False, b"503 Service Unavailable")])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_it_says_how_the_process_is(
    checked: CheckedProcess, method: bytes, *, healthy: bool, status: bytes
) -> None:
    checked.healthy = healthy
    head, _, body = (await checked.asked(method + b" /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).partition(
        b"\r\n\r\n"
    )

    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/1.1", b"POST /healthz HTTP/1.1", b"GET /healthzz HTTP/1.1"]
)
async def test_there_is_no_other_page(checked: CheckedProcess, request_line: bytes) -> None:
    assert (await checked.asked(request_line + b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("request_bytes", [b"", b"\0\xff", b"GET /healthz", b"x" * 100_000])
async def test_an_invalid_client_is_dropped_and_the_next_is_served(
    checked: CheckedProcess, request_bytes: bytes
) -> None:
    assert await checked.asked(request_bytes) == b""
    assert b"200 OK" in await checked.asked(b"GET /healthz HTTP/1.1\r\n\r\n")


async def test_it_ends_with_its_block(checked: CheckedProcess) -> None:
    port = pick_free()
    async with health_server("127.0.0.1", port, lambda: True):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
