"""A size and a time limit for every request body; a breach is a problem like any other error."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import problem
from domain.errors import BodyTooLarge

_NONE: Mapping[str, int] = MappingProxyType({})


class BodyLimitMiddleware:
    """Refuses a body over the cap: before its first byte if its length is announced, else while reading.

    One that is not whole in time is refused too; the time begins when the application starts to read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        by_prefix: Mapping[str, int],
        whole_within_seconds: float,
        forms_by_prefix: Mapping[str, int] = _NONE,
    ) -> None:
        """by_prefix: other caps, for paths that begin so; forms_by_prefix: for their multipart forms only."""
        self._app = app
        self._whole_within_seconds = whole_within_seconds
        self._max_bytes = max_bytes
        self._by_prefix = by_prefix
        self._forms_by_prefix = forms_by_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cap = self._cap(scope)
        if _announced_bytes(scope) > cap:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            await problem(status, BodyTooLarge.code, _too_large(cap))(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive, cap, self._whole_within_seconds), send)

    def _cap(self, scope: Scope) -> int:
        is_form = Headers(scope=scope).get("content-type", "").lower().startswith("multipart/form-data")
        known = {**self._by_prefix, **(self._forms_by_prefix if is_form else {})}
        caps = (cap for prefix, cap in known.items() if scope["path"].startswith(prefix))
        return next(caps, self._max_bytes)


def _too_large(cap: int) -> str:
    return f"The request body is larger than {cap} bytes."


def _bounded(receive: Receive, cap: int, seconds: float) -> Receive:
    read_bytes, is_whole = 0, False
    deadline: float | None = None

    async def bounded() -> Message:
        nonlocal read_bytes, is_whole, deadline
        if is_whole:
            return await receive()  # waits for the client to disconnect, however long the response takes
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, headers={"Connection": "close"}) from error
        is_whole = not message.get("more_body", False)
        read_bytes += len(message.get("body", b""))
        if read_bytes > cap:
            # The one exception that FastAPI lets through from the reading of a body.
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(cap))
        return message

    return bounded


def _announced_bytes(scope: Scope) -> int:
    """Return Content-Length, or 0 without it. The server refuses one that is not a number."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)
