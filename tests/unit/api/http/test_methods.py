"""HEAD, OPTIONS and 405, on any route."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import StreamingResponse

from api.app import BodyLimits, build_app, build_internal_app
from api.http.methods import MethodsMiddleware
from tests.unit.api.client import client_of

BOTH = "GET, HEAD, POST, OPTIONS"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter(prefix="/lamps")

    @router.get("")
    async def list_lamps() -> list[str]:
        return ["one", "two"]

    @router.post("")
    async def light() -> None:
        pass

    @router.delete("/{name}", status_code=204)
    async def put_out(name: str) -> None:
        pass

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(_endless(), media_type="text/event-stream")

    @router.head("/own")
    @router.get("/own")
    async def own() -> Response:
        return Response(headers={"X-Own": "1"})

    app = FastAPI()
    app.include_router(router)
    app.add_middleware(MethodsMiddleware)
    async with client_of(app) as http:
        yield http


async def _endless() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    await asyncio.Event().wait()


async def test_head_is_get_without_its_body(http: httpx.AsyncClient) -> None:
    got, head = await http.get("/lamps"), await http.head("/lamps")

    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(got.headers)


async def test_head_on_a_stream_ends(http: httpx.AsyncClient) -> None:
    head = await http.head("/lamps/stream")
    assert (head.status_code, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


async def test_a_route_that_names_head_has_it_itself(http: httpx.AsyncClient) -> None:
    assert (await http.head("/lamps/own")).headers["x-own"] == "1"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
async def test_what_is_not_allowed_says_what_is_by_all_routes_of_the_path(
    http: httpx.AsyncClient, method: str
) -> None:
    refused = await http.request(method, "/lamps")
    assert (refused.status_code, refused.headers["allow"]) == (405, BOTH)


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/lamps", BOTH), ("/lamps/x", "DELETE, OPTIONS"), ("/lamps/own", "GET, HEAD, OPTIONS")],
)
async def test_options_says_what_is_allowed(http: httpx.AsyncClient, path: str, allow: str) -> None:
    answer = await http.options(path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allow, b"")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
async def test_a_path_that_is_not_there_has_no_method(http: httpx.AsyncClient, method: str) -> None:
    assert (await http.request(method, "/candles")).status_code == 404


async def test_a_response_without_a_body_names_no_type_of_it(http: httpx.AsyncClient) -> None:
    answer = await http.delete("/lamps/x")
    assert (answer.status_code, answer.headers.get("content-type")) == (204, None)


async def test_both_applications_have_it() -> None:
    public = build_app(BodyLimits(1, 1))
    for app in (public, build_internal_app(public)):
        async with client_of(app) as http:
            assert (await http.head("/healthz")).status_code == 200
            refused = await http.post("/healthz")
            assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
            assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
