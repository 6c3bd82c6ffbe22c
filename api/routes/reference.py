"""The description of the API: openapi.json, and a page made from it, which loads nothing from other hosts."""

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, JSONResponse

from api.http.reference_page import SCRIPT, STYLE, render

Describe = Callable[[], dict[str, Any]]


def openapi_router(describe: Describe) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    # Written once: anybody may ask for it, as often as they like.
    document = cache(lambda: bytes(JSONResponse(describe()).body))

    @router.get("/openapi.json")
    async def read_description() -> Response:
        return Response(document(), media_type="application/json")

    return router


def page_router(describe: Describe, *, tries: bool = True) -> APIRouter:
    """tries: whether the page can call the API, which is so only on the port that serves it."""
    router = APIRouter(include_in_schema=False)
    page = cache(lambda: render(describe(), tries=tries))

    @router.get("/docs")
    async def read_page() -> Response:
        return HTMLResponse(page())

    @router.get("/docs/style.css")
    async def read_style() -> Response:
        return Response(STYLE, media_type="text/css")

    @router.get("/docs/try.js")
    async def read_script() -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    return router
