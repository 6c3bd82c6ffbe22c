"""OpenAI's stream of events: partial images are handed on, and only a whole stream is a response."""

import base64
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.providers.http.client import provider_client
from adapters.providers.http.event_stream import EventScanner
from adapters.providers.openai.adapter import OpenAiProvider
from domain.errors import ContentRejected, InvalidInput, ServiceError, SubmitAmbiguous
from domain.provider import JobStatus, ProviderCost, Submission, SyncResult
from tests.support.raw_server import Reply, always, head, serving
from tests.unit.adapters.providers.inline_image_requests import (
    IN_BASE64,
    KEY,
    PICTURES,
    asking,
    client_on,
    wire_answering,
)
from tests.unit.adapters.providers.mock_http import body_of
from tests.unit.adapters.providers.pictures import picture

URL = "https://api.openai.test/v1"
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_7"}


def event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def partial(index: int, image: str = IN_BASE64[0], kind: str = "image_generation") -> bytes:
    return event(f"{kind}.partial_image", partial_image_index=index, b64_json=image, size="1024x1024")


def completed(image: str = IN_BASE64[2], kind: str = "image_generation") -> bytes:
    return event(f"{kind}.completed", b64_json=image, usage={"total_tokens": 4260})


class Taken:
    """What was handed on: by its index, with its bytes as they were then."""

    def __init__(self) -> None:
        self.images: list[tuple[int, bytes]] = []

    def __call__(self, index: int, path: Path) -> None:
        self.images.append((index, path.read_bytes()))


def wanting(taken: Taken, **parameters: Any) -> Submission:
    asked = asking("openai", "gpt-image-1.5", **{"partial_images": 2, **parameters})
    return replace(asked, on_partial_image=taken)


async def streamed(body: bytes, folder: Path, taken: Taken | None = None) -> SyncResult:
    wire = wire_answering(httpx.Response(200, content=body, headers=EVENTS))
    provider = OpenAiProvider(client_on(wire.http), key=KEY, url=URL)
    return await provider.generate(wanting(taken or Taken()), folder)


async def test_a_stream_is_asked_for_only_with_partial_images(tmp_path: Path) -> None:
    wire = wire_answering(httpx.Response(200, content=completed(), headers=EVENTS))
    provider = OpenAiProvider(client_on(wire.http), key=KEY, url=URL)
    await provider.generate(wanting(Taken()), tmp_path)

    assert body_of(wire.requests[0]) == {
        "model": "gpt-image-1.5",
        "prompt": "a fox",
        "n": 1,
        "stream": True,
        "partial_images": 2,
    }
    plain = wire_answering({"data": [{"b64_json": IN_BASE64[0]}]})
    await OpenAiProvider(client_on(plain.http), key=KEY, url=URL).generate(
        wanting(Taken(), partial_images=0), tmp_path
    )
    assert not {"stream", "partial_images"} & body_of(plain.requests[0]).keys()


async def test_an_edit_asks_for_them_in_its_form(tmp_path: Path) -> None:
    body = partial(0, kind="image_edit") + completed(kind="image_edit")
    wire, taken = wire_answering(httpx.Response(200, content=body, headers=EVENTS)), Taken()
    asked = replace(wanting(taken), images=(picture(tmp_path, b"one"),))
    found = await OpenAiProvider(client_on(wire.http), key=KEY, url=URL).generate(asked, tmp_path)

    sent = wire.requests[0].content
    assert b'name="stream"\r\n\r\ntrue\r\n' in sent
    assert b'name="partial_images"\r\n\r\n2\r\n' in sent
    assert taken.images == [(0, PICTURES[0])]
    assert found.result.status is JobStatus.SUCCEEDED


async def test_partial_images_are_handed_on_and_the_last_is_the_image(tmp_path: Path) -> None:
    taken = Taken()
    found = await streamed(partial(0) + partial(1, IN_BASE64[1]) + completed(), tmp_path, taken)

    assert taken.images == [(0, PICTURES[0]), (1, PICTURES[1])]
    assert [path.read_bytes() for path in found.files] == [PICTURES[2]]
    assert (found.job_id, found.result.cost) == ("req_7", ProviderCost(Decimal(4260), "token"))


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
async def test_events_are_found_in_any_pieces(tmp_path: Path, piece_bytes: int) -> None:
    body = b": a comment\r\n\r\n" + partial(0).replace(b"\n", b"\r\n") + partial(1) + completed()
    pieces = [body[start : start + piece_bytes] for start in range(0, len(body), piece_bytes)]
    taken = Taken()

    async def send(_: bytes, writer: Any) -> None:
        writer.write(head(200, "Content-Type: text/event-stream", f"Content-Length: {len(body)}"))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    async with serving(send) as server, provider_client(read_seconds=5, max_response_bytes=None) as http:
        found = await OpenAiProvider(client_on(http), key=KEY, url=server.origin).generate(
            wanting(taken), tmp_path
        )
    assert [index for index, _ in taken.images] == [0, 1]
    assert len(found.files) == 1


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 100])
def test_the_end_of_an_event_may_be_in_two_pieces(piece_bytes: int) -> None:
    events = [partial(0).replace(b"\n", b"\r\n"), partial(1), b"\n\n", completed()]
    body, scanner = b"".join(events), EventScanner()
    spans = [
        span
        for start in range(0, len(body), piece_bytes)
        for span in scanner.feed(body[start : start + piece_bytes])
    ]
    assert [body[span.start : span.end] for span in spans] == [events[0], events[1], events[3]]


@pytest.mark.parametrize(
    "odd",
    [
        event("image_generation.partial_image", partial_image_index=0, b64_json="not base64 " * 9),
        event("image_generation.partial_image", partial_image_index="0", b64_json=IN_BASE64[0] * 9),
        event("image_generation.partial_image", partial_image_index=True, b64_json=IN_BASE64[0] * 9),
        event("image_generation.partial_image", b64_json=[IN_BASE64[0]] * 9, partial_image_index=0),
        event("something.new", text="x" * 200),
        b"data: " + b"{" * 200 + b"\n\n",
        b"data: [1, 2, 3]" + b" " * 100 + b"\n\n",
        b"\n\n\n\n",
    ],
)
async def test_what_is_no_partial_image_is_passed_over(tmp_path: Path, odd: bytes) -> None:
    taken = Taken()
    found = await streamed(odd + completed(), tmp_path, taken)

    assert taken.images == []
    assert found.result.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    "body",
    [b"", partial(0), partial(0) + completed()[:-20], b"event: image_generation.completed\n\n", b"<html>"],
    ids=["empty", "no end", "cut off", "no data", "no stream"],
)
async def test_a_stream_without_an_end_is_ambiguous(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(SubmitAmbiguous):
        await streamed(body, tmp_path)


async def test_a_connection_that_breaks_after_one_is_ambiguous(tmp_path: Path) -> None:
    reply: Reply = always(head(200, "Content-Type: text/event-stream", "Content-Length: 9999") + partial(0))
    taken = Taken()
    async with serving(reply) as server, provider_client(read_seconds=5, max_response_bytes=None) as http:
        with pytest.raises(SubmitAmbiguous):
            await OpenAiProvider(client_on(http), key=KEY, url=server.origin).generate(
                wanting(taken), tmp_path
            )
    assert taken.images == [(0, PICTURES[0])]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "moderation_blocked", "type": "image_generation_user_error"}, ContentRejected),
        ({"code": None, "type": "invalid_request_error"}, InvalidInput),
        ({"code": "server_is_overloaded", "type": "server_error"}, SubmitAmbiguous),
        ({"code": "rate_limit_exceeded", "type": "requests"}, SubmitAmbiguous),
        ({"code": ["odd"], "type": {}}, SubmitAmbiguous),
        ("a text", SubmitAmbiguous),
    ],
)
async def test_an_error_in_the_stream_is_mapped(
    tmp_path: Path, error: object, expected: type[ServiceError]
) -> None:
    """It came after the work had begun, so nothing says any more that the provider took nothing."""
    with pytest.raises(expected) as caught:
        await streamed(partial(0) + event("error", error=error), tmp_path)
    assert type(caught.value) is expected


async def test_an_image_that_is_not_base64_is_broken(tmp_path: Path) -> None:
    found = await streamed(completed("not base64"), tmp_path)
    assert (found.result.status, found.result.code) == (JobStatus.FAILED, "result_unusable")


async def test_a_gateway_that_does_not_stream_still_delivers(tmp_path: Path) -> None:
    wire = wire_answering({"data": [{"b64_json": IN_BASE64[0]}]})
    found = await OpenAiProvider(client_on(wire.http), key=KEY, url=URL).generate(wanting(Taken()), tmp_path)
    assert [base64.b64encode(path.read_bytes()).decode() for path in found.files] == IN_BASE64[:1]
