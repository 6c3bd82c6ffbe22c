"""What lies on the disk of an upload."""

import pytest
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from api.http import multipart

BODY = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\npixels\r\n--x--\r\n'


async def test_an_image_lies_there_once_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[FormData] = []
    read = multipart._form

    async def noted(request: Request) -> FormData:
        forms.append(await read(request))
        return forms[-1]

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    monkeypatch.setattr(multipart, "_form", noted)
    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    async with multipart.uploaded_file(Request({"type": "http", "headers": headers}, receive)) as uploaded:
        part = forms[0]["file"]
        assert isinstance(part, UploadFile)
        assert part.file.closed
        assert uploaded.path.read_bytes() == b"pixels"
        assert uploaded.purpose is None
    assert not uploaded.path.exists()
