"""A stored image as a response, with ranges."""

from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Scope, Send


class ObjectResponse(FileResponse):
    """Sends a local copy of an object, and lets go of the copy however the request ends."""

    def __init__(self, path: Path, copy: AsyncExitStack, *, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(path, media_type=media_type, headers=headers)
        self._copy = copy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._copy:
            await super().__call__(scope, receive, send)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        """Return the ranges; none, for the whole image, if it cannot be understood (RFC 9110, 14.2).

        Starlette responds to both errors with plain text.
        """
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable as error:
            headers = {"Content-Range": f"bytes */{file_size}"}
            raise HTTPException(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers) from error
