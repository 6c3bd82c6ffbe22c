"""Bodies that are sent slowly, cut, or only in part: of files and of responses with images."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from simulator.core.connection import close
from simulator.core.faults.switches import Fault

HTML = (
    b"<!doctype html><html><head><title>Just a moment</title></head><body>Checking your browser</body></html>"
)
_CHUNKS = 20


def sent(request: Request, body: bytes, content_type: str, faults: dict[str, Fault]) -> Response:
    """Return the body as `truncated_body` and `slow_body` change it; else whole and at once."""
    truncated, slow = faults.get("truncated_body"), faults.get("slow_body")
    if truncated is not None and truncated.text("length") == "none":
        # Ended properly and with no length to compare with: only decoding shows that half of it is missing.
        return StreamingResponse(_chunks(body[: len(body) // 2], 0), media_type=content_type)
    headers = {"content-length": str(len(body))}
    if truncated is not None:
        return StreamingResponse(_cut_off(request, body), headers=headers, media_type=content_type)
    if slow is not None:
        return StreamingResponse(
            _chunks(body, slow.number("seconds")), headers=headers, media_type=content_type
        )
    return Response(body, media_type=content_type)


async def _chunks(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    size = max(1, -(-len(body) // _CHUNKS))
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(seconds / _CHUNKS)


async def _cut_off(request: Request, body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    close(request)
    # Goes nowhere, but the server would complain of a body shorter than announced.
    yield body[len(body) // 2 :]
