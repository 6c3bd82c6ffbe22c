"""The cap of an upload: a batch's lines may be larger than an image, if the form says first what it is."""

import re
from http import HTTPStatus

from fastapi import HTTPException, Request
from starlette.types import Message

# What multipart puts around a file.
MULTIPART_OVERHEAD_BYTES = 10_000
# How much of a form is looked through for its purpose.
_LOOKED_THROUGH_BYTES = 16_384
_IS_BATCH = re.compile(rb'\bname="?purpose"?\r\n(?:[!-9;-~]+:[^\r\n]*\r\n)*\r\nbatch\r\n', re.IGNORECASE)


def bounded_upload(request: Request, max_image_bytes: int) -> Request:
    """Return the request with a body that is cut off above this, unless it begins with `purpose=batch`.

    What cuts off any upload is `BodyLimitMiddleware`. Reading raises HTTPException 413.
    """
    announced = request.headers.get("content-length", "")
    read_bytes, begin = 0, b""

    async def receive() -> Message:
        nonlocal read_bytes, begin
        message = await request.receive()
        body = message.get("body", b"")
        read_bytes += len(body)
        is_over = read_bytes > max_image_bytes
        if len(begin) < _LOOKED_THROUGH_BYTES:
            begin += body[: _LOOKED_THROUGH_BYTES - len(begin)]
            will_be_over = announced.isdecimal() and int(announced) > max_image_bytes
            is_over = is_over or (will_be_over and len(begin) == _LOOKED_THROUGH_BYTES)
        if is_over and not _IS_BATCH.search(begin):
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(max_image_bytes))
        return message

    return Request(request.scope, receive)


def _too_large(cap: int) -> str:
    return (
        f"The request body is larger than {cap} bytes. The lines of a batch may be more:"
        " send the field purpose, with the value batch, before the file."
    )
