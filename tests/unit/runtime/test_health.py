"""The health server of a process without an API."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devstack.process.ports import pick_free
from runtime.health import health_server
from tests.support.time_limits import scaled


class Patient:
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
async def patient() -> AsyncIterator[Patient]:
    patient = Patient(pick_free())
    async with health_server("127.0.0.1", patient.port, lambda: patient.healthy):
        yield patient


@pytest.mark.parametrize(("healthy", "status"), [(True, b"200 OK"), (False, b"503 Service Unavailable")])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_it_says_how_the_process_is(
    patient: Patient, method: bytes, *, healthy: bool, status: bytes
) -> None:
    patient.healthy = healthy
    head, _, body = (await patient.asked(method + b" /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).partition(
        b"\r\n\r\n"
    )

    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/1.1", b"POST /healthz HTTP/1.1", b"GET /healthzz HTTP/1.1"]
)
async def test_there_is_no_other_page(patient: Patient, request_line: bytes) -> None:
    assert (await patient.asked(request_line + b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("request_bytes", [b"", b"\0\xff", b"GET /healthz", b"x" * 100_000])
async def test_an_invalid_client_is_dropped_and_the_next_is_served(
    patient: Patient, request_bytes: bytes
) -> None:
    assert await patient.asked(request_bytes) == b""
    assert b"200 OK" in await patient.asked(b"GET /healthz HTTP/1.1\r\n\r\n")


async def test_it_ends_with_its_block(patient: Patient) -> None:
    port = pick_free()
    async with health_server("127.0.0.1", port, lambda: True):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
