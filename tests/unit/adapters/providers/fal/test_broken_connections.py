"""fal's adapter on its real client and real sockets: what only a network can do to a request."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest

from adapters.providers.http.client import provider_client
from adapters.transport.http import HttpClient
from domain.errors import ProviderUnavailable, SubmitAmbiguous
from domain.provider import ProviderJob
from tests.support.raw_server import Reply, always, answer, flooding, head, serving
from tests.unit.adapters.providers.fal.requests import KEY, REQUEST, SUBMISSION, fal_on

ACCEPTED = json.dumps({"request_id": "job-1"}).encode()
OVER_THE_CAP = b" " * 2_000_001


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with provider_client(read_seconds=0.5) as client:
        yield client


async def test_an_accepted_submit_comes_back_through_the_real_client(http: HttpClient) -> None:
    async with serving(always(answer(200, ACCEPTED))) as server:
        job = await fal_on(http, server.origin).submit(SUBMISSION)

    (request,) = server.heads
    assert job == ProviderJob("job-1", {})
    assert f"authorization: key {KEY}".encode() in request.lower()
    assert b"accept-encoding: identity\r\n" in request.lower()


async def test_a_refused_connection_is_provably_nothing_sent(http: HttpClient) -> None:
    async with serving(always(b"")) as server:
        pass
    with pytest.raises(ProviderUnavailable):
        await fal_on(http, server.origin).submit(SUBMISSION)


async def test_a_name_that_does_not_resolve_is_provably_nothing_sent(http: HttpClient) -> None:
    with pytest.raises(ProviderUnavailable):
        await fal_on(http, f"http://{'x' * 64}.invalid").submit(SUBMISSION)


async def never(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


BROKEN_ANSWERS = {
    "no answer in time": never,
    "closed without an answer": always(b""),
    "cut in its lines": always(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "cut in its body": always(answer(200, ACCEPTED, length=len(ACCEPTED) + 1)),
    "not HTTP": always(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "two lengths": always(head(200, "Content-Length: 3", "Content-Length: 4") + b"{}{}"),
    "over the cap": always(answer(200, OVER_THE_CAP)),
    "endless": flooding(head(200), b" " * 65_536),
    "compressed in a way of today": always(answer(200, ACCEPTED, "Content-Encoding: br")),
    "a bomb": always(answer(200, gzip.compress(b" " * 50_000_000), "Content-Encoding: gzip")),
    "lines without an end": always(head(200, "X: " + "x" * 300_000)),
    "an id after too much": always(answer(200, OVER_THE_CAP[:-30] + ACCEPTED + b" " * 30)),
}


@pytest.mark.parametrize("reply", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_a_submit_without_a_whole_response_is_ambiguous_and_sent_once(
    http: HttpClient, reply: Reply
) -> None:
    async with serving(reply) as server:
        with pytest.raises(SubmitAmbiguous):
            await fal_on(http, server.origin).submit(SUBMISSION)

    assert server.connections == 1


@pytest.mark.parametrize("reply", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_a_poll_without_a_whole_response_may_be_repeated(http: HttpClient, reply: Reply) -> None:
    async with serving(reply) as server:
        fal = fal_on(http, server.origin)
        with pytest.raises(ProviderUnavailable):
            await fal.poll_job(REQUEST, ProviderJob("job-1", {}))
        with pytest.raises(ProviderUnavailable):
            await fal.cancel_job(REQUEST, ProviderJob("job-1", {}))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_our_key_follows_no_redirect(http: HttpClient, status: int) -> None:
    async with serving(always(answer(200, ACCEPTED))) as elsewhere:
        location = f"Location: {elsewhere.origin}/fal-ai/flux/schnell"
        async with serving(always(answer(status, b"", location))) as server:
            fal = fal_on(http, server.origin)
            with pytest.raises(SubmitAmbiguous):
                await fal.submit(SUBMISSION)
            with pytest.raises(ProviderUnavailable):
                await fal.poll_job(REQUEST, ProviderJob("job-1", {}))

    assert (elsewhere.connections, len(server.heads)) == (0, 2)


async def test_a_proxy_of_the_environment_is_not_used(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(always(answer(502))) as proxy, serving(always(answer(200, ACCEPTED))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        async with provider_client() as client:
            await fal_on(client, server.origin).submit(SUBMISSION)

    assert (proxy.connections, server.connections) == (0, 1)
