"""The HTTP client for providers: its limits, and how to change them."""

import socket
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from adapters.providers.http.client import provider_client
from adapters.transport.errors import HttpError
from adapters.transport.http import Request
from tests.support.raw_server import always, answer, serving

LARGE = b" " * 2_000_001


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[httpx.Request, httpx.Response]]:
    """Return what goes over the wire from now on, as httpx itself sends it."""
    pairs: list[tuple[httpx.Request, httpx.Response]] = []
    send = httpx.AsyncHTTPTransport.handle_async_request

    async def recorded(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        response = await send(transport, request)
        pairs.append((request, response))
        return response

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", recorded)
    return pairs


async def test_a_response_is_capped_unless_the_caller_does_it() -> None:
    async with serving(always(answer(200, LARGE))) as server:
        request = Request("GET", server.origin)
        async with provider_client() as http:
            with pytest.raises(HttpError, match="over 2000000 bytes"):
                await http.send(request)
        async with provider_client(max_response_bytes=None) as http:
            assert len((await http.send(request)).content) == len(LARGE)


@pytest.mark.parametrize(("options", "read_seconds"), [({}, 20), ({"read_seconds": 600}, 600)])
async def test_only_the_wait_for_a_response_is_as_long_as_configured(
    sent: list[tuple[httpx.Request, httpx.Response]], options: Mapping[str, Any], read_seconds: float
) -> None:
    async with serving(always(answer(200))) as server, provider_client(**options) as http:
        await http.send(Request("GET", server.origin))

    ((request, _),) = sent
    assert request.extensions["timeout"] == {"connect": 5, "read": read_seconds, "write": 20, "pool": 5}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_on_which_nothing_moves_is_probed(
    sent: list[tuple[httpx.Request, httpx.Response]], method: str
) -> None:
    async with (
        serving(always(answer(200, b"body"))) as server,
        provider_client() as http,
        http.stream(Request(method, server.origin)),
    ):
        ((_, response),) = sent
        connection = response.extensions["network_stream"].get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
