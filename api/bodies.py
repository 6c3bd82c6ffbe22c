"""A cap on every request body, answered as a problem like any other error."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from domain.errors import BodyTooLarge


class CappedBodies:
    """Refuses a body over the cap: before its first byte where the length is announced, else in passing."""

    def __init__(self, app: ASGIApp, *, largest_bytes: int) -> None:
        self._app = app
        self._largest_bytes = largest_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _announced_bytes(scope) > self._largest_bytes:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            await problem(status, BodyTooLarge.code, BodyTooLarge.message)(scope, receive, send)
        else:
            await self._app(scope, self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        read_bytes = 0

        async def counted() -> Message:
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self._largest_bytes:
                # The one exception that FastAPI lets through from the reading of a body.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        return counted


def _announced_bytes(scope: Scope) -> int:
    """Content-Length; 0 where there is none. The server has refused one that is no number."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)
