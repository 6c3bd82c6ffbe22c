"""The cap of an upload depends on what its form says first."""

from collections.abc import Sequence

import pytest
from fastapi import HTTPException, Request
from starlette.types import Message

from api.http.upload_limits import bounded_upload

CAP = 40_000
PURPOSE = b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


async def read(pieces: Sequence[bytes], announced: int | None = None) -> tuple[int, int | None]:
    """Return how many pieces were read, and the status of what cut the body off."""
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": pieces[sent - 1], "more_body": sent < len(pieces)}

    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    request = bounded_upload(Request({"type": "http", "headers": headers}, receive), CAP)
    try:
        async for _ in request.stream():
            pass
    except HTTPException as error:
        return sent, error.status_code
    return sent, None


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (PURPOSE + FILE, None),
        (PURPOSE.replace(b"Content", b"content-type: text/plain\r\nContent") + FILE, None),
        (PURPOSE.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n") + FILE, None),
        (PURPOSE.replace(b'"', b"") + FILE, None),
        (FILE, 413),
        (PURPOSE.replace(b"batch", b"vision") + FILE, 413),
        (PURPOSE.replace(b"batch", b"batches") + FILE, 413),
        (FILE + bytes(20_000) + PURPOSE, 413),
    ],
)
async def test_more_than_an_image_needs_its_purpose_first(begin: bytes, status: int | None) -> None:
    pieces = [begin, *[bytes(1000)] * 100]
    assert (await read(pieces))[1] == status


async def test_the_purpose_may_come_in_pieces() -> None:
    begin = PURPOSE + FILE
    pieces = [*(begin[n : n + 7] for n in range(0, len(begin), 7)), *[bytes(1000)] * 100]
    assert await read(pieces) == (len(pieces), None)


async def test_what_an_image_may_have_is_never_cut_off() -> None:
    assert await read([FILE, bytes(CAP - len(FILE))]) == (2, None)
    assert await read([FILE, bytes(CAP - len(FILE) + 1)]) == (2, 413)


async def test_a_length_that_is_announced_is_refused_as_soon_as_the_form_has_begun() -> None:
    sent, status = await read([FILE, *[bytes(1000)] * 100], announced=100_000)
    assert (status, sent) == (413, 18)
