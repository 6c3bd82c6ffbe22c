"""A stored image as a response, with ranges."""

from contextlib import AsyncExitStack
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send


class ObjectResponse(FileResponse):
    """Sends a local copy of an object, and lets go of the copy however the request ends."""

    def __init__(self, path: Path, copy: AsyncExitStack, *, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(path, media_type=media_type, headers=headers)
        self._copy = copy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._copy:
            await super().__call__(scope, receive, send)
