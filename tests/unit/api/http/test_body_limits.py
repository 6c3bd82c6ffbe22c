"""Bodies that come too slowly, or end with the connection."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message, Receive, Scope

from api.http import problems
from api.http.body_limits import BodyLimitMiddleware
from tests.support.time_limits import scaled

FIRST: Message = {"type": "http.request", "body": b"{", "more_body": True}
LAST: Message = {"type": "http.request", "body": b"}", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


def app(within_seconds: float = 10.0, *, waits_for_the_end: bool = False) -> FastAPI:
    """Read a body and return its length; then optionally wait until the client disconnects."""
    application = FastAPI()

    @application.post("/")
    async def read(request: Request) -> int:
        size = len(await request.body())
        if waits_for_the_end:
            assert await request.receive() == GONE
        return size

    problems.install(application)
    application.add_middleware(
        BodyLimitMiddleware, max_bytes=100, by_prefix={}, whole_within_seconds=within_seconds
    )
    return application


def coming(*messages: Message) -> Receive:
    """Return a receive function with these messages, then silence."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


async def answer_of(application: FastAPI, receive: Receive) -> tuple[int, dict[bytes, bytes], Any]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [],
        "http_version": "1.1", "scheme": "http", "root_path": "", "client": None, "server": None,
    }  # fmt: skip
    async with asyncio.timeout(scaled(5)):
        await application(scope, receive, send)
    start, body = sent
    return start["status"], dict(start["headers"]), json.loads(body["body"])


@pytest.mark.parametrize("messages", [[], [FIRST], [FIRST] * 3], ids=len)
async def test_a_body_that_is_not_whole_in_time_is_refused(messages: list[Message]) -> None:
    status, headers, body = await answer_of(app(0.02), coming(*messages))

    assert (status, body["code"]) == (408, "request_timeout")
    assert (headers[b"content-type"], headers[b"connection"]) == (b"application/problem+json", b"close")


async def test_the_time_is_for_the_whole_body_and_not_for_each_part() -> None:
    messages = asyncio.Queue[Message]()
    for number, message in enumerate([*[FIRST] * 30, LAST]):
        asyncio.get_running_loop().call_later(number / 100, messages.put_nowait, message)

    status, _, body = await answer_of(app(0.1), messages.get)

    assert (status, body["code"]) == (408, "request_timeout")


async def test_after_the_body_the_response_has_no_time_limit() -> None:
    messages = asyncio.Queue[Message]()
    messages.put_nowait(FIRST)
    messages.put_nowait(LAST)
    asyncio.get_running_loop().call_later(0.1, messages.put_nowait, GONE)

    status, _, body = await answer_of(app(0.02, waits_for_the_end=True), messages.get)

    assert (status, body) == (200, 2)


async def test_a_client_that_disconnects_is_no_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        status, _, body = await answer_of(app(), coming(FIRST, GONE))

    assert (status, body["code"]) == (400, "invalid_input")
    assert caplog.records == []


@pytest.mark.parametrize("announces", [True, False])
async def test_a_body_that_is_too_large_is_told_the_limit(announces: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 101

    transport = httpx.ASGITransport(app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.post("/", content=b"x" * 101 if announces else chunks())

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert response.json()["detail"] == "The request body is larger than 100 bytes."
