"""The HTTP client for providers: its limits, and how to change them."""

import socket

import httpx
import pytest

from adapters.providers.http.client import provider_client
from tests.support.raw_server import always, answer, serving

LARGE = b" " * 2_000_001


async def test_a_response_is_capped_unless_the_caller_does_it() -> None:
    async with serving(always(answer(200, LARGE))) as server:
        async with provider_client() as http:
            with pytest.raises(httpx.ReadError, match="over 2000000 bytes"):
                await http.get(server.origin)
        async with provider_client(max_response_bytes=None) as http:
            assert len((await http.get(server.origin)).content) == len(LARGE)


async def test_only_the_wait_for_a_response_is_as_long_as_configured() -> None:
    async with provider_client(read_seconds=600) as http:
        assert http.timeout == httpx.Timeout(connect=5, read=600, write=20, pool=5)


async def test_a_connection_on_which_nothing_moves_is_probed() -> None:
    async with (
        serving(always(answer(200))) as server,
        provider_client() as http,
        http.stream("GET", server.origin) as response,
    ):
        connection = response.extensions["network_stream"].get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
