"""Requests that carry images: whole, of the length they announce, and never in memory."""

import base64
import json
import tracemalloc
from pathlib import Path

import psutil
import pytest

from adapters.providers.uploads import UploadBody, form_body, json_body, markers
from tests.unit.adapters.pictures import picture

# Around the size of a chunk, where base64 could go wrong.
SIZES = [0, 1, 2, 3, 98_303, 98_304, 98_305, 300_001]


async def sent(body: UploadBody) -> bytes:
    return b"".join([chunk async for chunk in body])


@pytest.mark.parametrize("size", SIZES)
async def test_an_image_in_json_is_its_base64(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    images = markers([picture(tmp_path, content), picture(tmp_path, content[::-1])])
    body = json_body({"urls": [f"data:image/png;base64,{marker}" for marker in images], "text": "é"}, images)
    bytes_sent = await sent(body)

    assert body.headers == {"Content-Type": "application/json", "Content-Length": str(len(bytes_sent))}
    read = json.loads(bytes_sent)
    found = [base64.b64decode(url.partition(",")[2], validate=True) for url in read["urls"]]
    assert (found, read["text"]) == ([content, content[::-1]], "é")


async def test_a_body_without_images_is_plain_json(tmp_path: Path) -> None:
    assert json.loads(await sent(json_body({"text": "image-0"}, {}))) == {"text": "image-0"}


@pytest.mark.parametrize("size", SIZES)
async def test_a_form_has_the_length_it_announces(tmp_path: Path, size: int) -> None:
    files = [("image[]", picture(tmp_path, b"x" * size)), ("mask", picture(tmp_path))]
    body = form_body({"prompt": "näive \ud800", "stream": False, "n": 2}, files)

    assert int(body.headers["Content-Length"]) == len(await sent(body))


async def test_a_body_can_be_sent_twice(tmp_path: Path) -> None:
    body = form_body({}, [("image", picture(tmp_path))])
    assert await sent(body) == await sent(body)


async def test_images_that_were_sent_are_in_no_memory_and_no_file_is_open(tmp_path: Path) -> None:
    image = picture(tmp_path, b"x" * 30_000_000)
    images = markers([image, image])
    tracemalloc.start()
    try:
        body = json_body({"images": list(images)}, images)
        total = 0
        async for chunk in body:
            total += len(chunk)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert total == int(body.headers["Content-Length"]) > 80_000_000
    assert peak_bytes < 2_000_000
    assert str(image.path) not in [file.path for file in psutil.Process().open_files()]
