"""The client of all synchronous providers on real sockets: nothing is lost, and no body stays in memory."""

import asyncio
import gzip
import json
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.http.client import provider_client
from adapters.providers.http.inline_images import InlineImageClient, ParsedResponse, map_error_response
from adapters.transport.http import HttpClient, Request, Response, Timeouts, open_client
from domain.errors import ProviderRefused, ProviderUnavailable, ServiceError, SubmitAmbiguous
from domain.generation import Undelivered
from domain.provider import JobStatus, SyncResult
from tests.support.eventually import eventually
from tests.support.raw_server import Reply, always, answer, dripping, flooding, head, serving
from tests.support.time_limits import scaled
from tests.unit.adapters.providers.inline_image_requests import IN_BASE64, PICTURES, asking, client_on

CAP_BYTES = 1_000_000
BODY = json.dumps({"id": "call-1", "images": IN_BASE64}).encode()


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with provider_client(read_seconds=0.5, max_response_bytes=None) as client:
        yield client


def parse(_headers: Mapping[str, str], body: Mapping[str, Any]) -> ParsedResponse:
    return ParsedResponse(body.get("id"), body.get("images", ()), message=body.get("message", ""))


def map_error(response: Response) -> ServiceError:
    return map_error_response({}, (), response, response.text)


async def generate(client: InlineImageClient, url: str, folder: Path, *, n: int = 3) -> SyncResult:
    request = Request("POST", url, json={"n": n})
    return await client.send(request, asking("acme", n=n), folder, parse=parse, map_error=map_error)


async def response_to(http: HttpClient, body: bytes, folder: Path, *, n: int = 3) -> SyncResult:
    async with serving(always(answer(200, body))) as server:
        return await generate(client_on(http), server.origin, folder, n=n)


async def test_the_images_of_a_response_are_files_and_nothing_else_is_left(
    http: HttpClient, tmp_path: Path
) -> None:
    found = await response_to(http, BODY, tmp_path)

    assert (found.job_id, found.result.status, found.result.undelivered) == (
        "call-1",
        JobStatus.SUCCEEDED,
        (),
    )
    assert [path.read_bytes() for path in found.files] == PICTURES
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in found.files)


async def test_a_connection_serves_one_call(http: HttpClient, tmp_path: Path) -> None:
    async with serving(always(answer(200, BODY))) as server:
        await generate(client_on(http), server.origin, tmp_path)

    (request,) = server.heads
    assert b"\r\nconnection: close\r\n" in request.lower()
    assert b"keep-alive" not in request.lower()


@pytest.mark.parametrize("given", [None, True, 7.5, "", "two words", "x" * 5000, "naïve"])
async def test_a_call_without_the_providers_id_gets_our_own(
    http: HttpClient, tmp_path: Path, given: object
) -> None:
    body = json.dumps({"id": given, "images": IN_BASE64}).encode()
    assert (await response_to(http, body, tmp_path)).job_id == "gen_1.2"


PARTIAL = {
    "too few": ([IN_BASE64[0]], [0], (1, 2)),
    "one is nothing": ([IN_BASE64[0], None, IN_BASE64[2]], [0, 2], (1,)),
    "one is empty": ([IN_BASE64[0], IN_BASE64[1], ""], [0, 1], (2,)),
    "one is not base64": (["<html>", IN_BASE64[1], IN_BASE64[2]], [1, 2], (0,)),
    "one is not ASCII": (["ü" * 8, IN_BASE64[1], IN_BASE64[2]], [1, 2], (0,)),
    "one is padding": ([IN_BASE64[0], IN_BASE64[1], "=="], [0, 1], (2,)),
    "one is half of it": ([IN_BASE64[0], IN_BASE64[1][:-3], IN_BASE64[2]], [0, 2], (1,)),
    "too many": ([*IN_BASE64, "<html>"], [0, 1, 2], ()),
}


@pytest.mark.parametrize(("images", "kept", "missing"), PARTIAL.values(), ids=PARTIAL)
async def test_a_missing_image_keeps_its_index(
    http: HttpClient, tmp_path: Path, images: list[str], kept: list[int], missing: tuple[int, ...]
) -> None:
    found = await response_to(http, json.dumps({"images": images}).encode(), tmp_path)

    assert found.result.status is JobStatus.SUCCEEDED
    assert [path.read_bytes() for path in found.files] == [PICTURES[index] for index in kept]
    assert found.result.undelivered == tuple(Undelivered(index, "not_delivered") for index in missing)


@pytest.mark.parametrize(
    ("images", "code"),
    [([], "provider_failed"), ([None], "provider_failed"), (["<html>"], "result_unusable")],
)
async def test_a_response_without_any_image_counts_as_charged(
    http: HttpClient, tmp_path: Path, images: list[str], code: str
) -> None:
    body = json.dumps({"images": images, "message": "no\0 image\ud800"}).encode()
    result = (await response_to(http, body, tmp_path)).result

    assert (result.status, result.code, result.does_not_charge) == (JobStatus.FAILED, code, False)
    assert result.provider_message == "no image?"


async def test_a_message_in_any_script_may_come_with_large_images(http: HttpClient, tmp_path: Path) -> None:
    large = "QUJD" * 600_000
    body = json.dumps({"images": [large], "message": "🦊 läuft"}, ensure_ascii=False).encode()
    (file,) = (await response_to(http, body, tmp_path, n=1)).files

    assert file.read_bytes() == b"ABC" * 600_000


async def never(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


BROKEN_ANSWERS = {
    "no answer in time": never,
    "closed without an answer": always(b""),
    "cut in its lines": always(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "cut in its body": always(answer(200, BODY, length=len(BODY) + 1)),
    "cut without a length": always(head(200) + BODY[:-20]),
    "not HTTP": always(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "not JSON": always(answer(200, b"<!doctype html><title>Just a moment</title>")),
    "not an object": always(answer(200, b"[1]")),
    "nothing": always(answer(200)),
    "a deep one": always(answer(200, b"[" * 100_000)),
    "over the cap": always(answer(200, b" " * (CAP_BYTES + 1) + BODY)),
    "endless": flooding(head(200), b" " * 65_536),
    "endless refusal": flooding(head(400), b" " * 65_536),
    "compressed in a way of today": always(answer(200, BODY, "Content-Encoding: br")),
    "half of a gzip": always(answer(200, gzip.compress(BODY)[:-9], "Content-Encoding: gzip")),
    "a bomb": always(answer(200, gzip.compress(b" " * 50_000_000), "Content-Encoding: gzip")),
    "dripping": dripping(head(200), b" "),
    "created": always(answer(201, BODY)),
    "no content": always(answer(204)),
    "redirect": always(answer(307, b"", "Location: /elsewhere")),
    "server error": always(answer(500, b'{"error": {"message": "sorry"}}')),
    "gateway": always(answer(502, b"<html>")),
    "gateway's timeout": always(answer(504)),
}


@pytest.mark.parametrize("reply", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_anything_but_a_whole_response_is_ambiguous_and_requested_once(
    http: HttpClient, tmp_path: Path, reply: Reply
) -> None:
    async with serving(reply) as server:
        client = client_on(http, total_seconds=1.0, max_bytes=CAP_BYTES)
        with pytest.raises(SubmitAmbiguous):
            await generate(client, server.origin, tmp_path)

    assert server.connections == 1


async def test_a_refused_connection_is_provably_nothing_sent(http: HttpClient, tmp_path: Path) -> None:
    async with serving(always(b"")) as server:
        pass
    with pytest.raises(ProviderUnavailable):
        await generate(client_on(http), server.origin, tmp_path)


async def test_a_call_that_finds_no_free_connection_is_provably_nothing_sent(tmp_path: Path) -> None:
    impatient = Timeouts(connect_seconds=5, read_seconds=5, write_seconds=5, pool_seconds=0.1)
    only_one = open_client(impatient, max_connections=1, max_response_bytes=None)
    async with only_one as http, serving(never) as server:
        client = client_on(http)
        first = asyncio.create_task(generate(client, server.origin, tmp_path))
        await eventually(lambda: server.heads)
        with pytest.raises(ProviderUnavailable):
            await generate(client, server.origin, tmp_path)
        first.cancel()

    assert server.connections == 1


@pytest.mark.parametrize(
    ("size", "kind"), [(2_000_000, ProviderRefused), (2_000_001, SubmitAmbiguous)], ids=["whole", "too much"]
)
async def test_a_refusal_counts_if_it_can_be_read_whole(
    http: HttpClient, tmp_path: Path, size: int, kind: type[ServiceError]
) -> None:
    async with serving(always(answer(418, b"x" * size))) as server:
        request = Request("POST", server.origin)
        with pytest.raises(kind):
            await client_on(http).send(
                request,
                asking("acme"),
                tmp_path,
                parse=parse,
                map_error=lambda response: ProviderRefused(response.text[:9]),
            )


class UnfinishedResponse:
    """Sends all but the last byte, and that when `opened` is set."""

    def __init__(self, images: list[str]) -> None:
        self.opened = asyncio.Event()
        self._images = images

    async def __call__(self, _head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200) + b'{"images": [')
        for number, image in enumerate(self._images):
            writer.write(b', "' if number else b'"')
            for start in range(0, len(image), 65_536):
                writer.write(image[start : start + 65_536].encode())
                await writer.drain()
            writer.write(b'"')
        writer.write(b"]")
        await writer.drain()
        await self.opened.wait()
        writer.write(b"}")


async def test_an_incomplete_response_is_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    server_handler = UnfinishedResponse(["A" * 50_000_000])
    async with provider_client(max_response_bytes=None) as http, serving(server_handler) as server:
        tracemalloc.start()
        call = asyncio.create_task(generate(client_on(http), server.origin, tmp_path, n=1))
        body = tmp_path / "response.json"
        try:
            await eventually(lambda: body.exists() and body.stat().st_size > 49_900_000, 30)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        server_handler.opened.set()
        (file,) = (await call).files

    assert peak_bytes < 5_000_000
    assert file.stat().st_size == 37_500_000


async def test_calls_that_wait_hold_no_thread(tmp_path: Path) -> None:
    server_handler = UnfinishedResponse(IN_BASE64[:1])
    folders = [tmp_path / str(number) for number in range(60)]
    async with provider_client(max_response_bytes=None) as http, serving(server_handler) as server:
        threads_before = threading.active_count()
        calls = []
        for folder in folders:
            folder.mkdir()
            calls.append(asyncio.create_task(generate(client_on(http), server.origin, folder, n=1)))
        await eventually(lambda: len(server.heads) == len(calls))
        threads_meanwhile = threading.active_count()
        server_handler.opened.set()
        answers = await asyncio.gather(*calls)

    assert threads_meanwhile <= threads_before
    assert [answer.files[0].read_bytes() for answer in answers] == [PICTURES[0]] * 60


async def test_only_two_bodies_are_decoded_at_once(http: HttpClient, tmp_path: Path) -> None:
    pairs, inside, most = threading.Barrier(2, timeout=scaled(10)), 0, 0

    def counting(headers: Mapping[str, str], body: Mapping[str, Any]) -> ParsedResponse:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        pairs.wait()
        inside -= 1
        pairs.wait()
        return parse(headers, body)

    async def call(number: int) -> SyncResult:
        folder = tmp_path / str(number)
        folder.mkdir()
        request = Request("POST", server.origin)
        return await client.send(request, asking("acme"), folder, parse=counting, map_error=map_error)

    async with serving(always(answer(200, BODY))) as server:
        client = client_on(http)
        answers = await asyncio.gather(*(call(number) for number in range(6)))

    assert most == 2
    assert len(answers) == 6
