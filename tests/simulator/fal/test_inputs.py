"""fal's endpoints for editing: input images, and sizes as an aspect ratio."""

import io
from typing import Any

import pytest
from PIL import Image

from tests.simulator.pictures import data_url, plain, sha256
from tests.simulator.process import Client

EDIT = "/fal-ai/nano-banana-2/edit"


async def _edited(client: Client, **given: Any) -> tuple[str, Image.Image]:
    answer = await client.http.post(EDIT, json={"prompt": "edit", "output_format": "png", **given})
    assert answer.status_code == 200, answer.text
    result = (await client.result(answer.json())).json()
    file = await client.http.get(result["images"][0]["url"])
    return answer.json()["request_id"], Image.open(io.BytesIO(file.content))


async def test_inputs_are_in_the_picture_and_in_the_log(client: Client) -> None:
    left, right = plain((200, 30, 30), (64, 64)), plain((30, 30, 200), (64, 64))
    first, _ = await _edited(client, image_url=data_url(left))
    request_id, image = await _edited(client, image_urls=[data_url(left), data_url(right)])
    reported = [(await client.log(one, "submit_accepted"))[0]["inputs"] for one in (first, request_id)]

    assert image.size == (1024, 1024)
    assert (image.getpixel((256, 256)), image.getpixel((768, 256))) == ((200, 30, 30), (30, 30, 200))
    assert [[entry["sha256"] for entry in inputs] for inputs in reported] == [
        [sha256(left)],
        [sha256(left), sha256(right)],
    ]


async def test_an_input_may_be_an_address(client: Client) -> None:
    result = (await client.result(await client.submitted("first", image_size="landscape_16_9"))).json()
    _, image = await _edited(client, image_urls=[result["images"][0]["url"]])

    assert image.size == (1360, 768)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"aspect_ratio": "16:9"}, (1360, 768)),
        ({"aspect_ratio": "1:1", "resolution": "2K"}, (2048, 2048)),
        ({"aspect_ratio": "auto"}, (1024, 768)),
    ],
)
async def test_an_aspect_ratio_becomes_a_size(
    client: Client, given: dict[str, Any], size: tuple[int, int]
) -> None:
    _, image = await _edited(client, **given)

    assert image.size == size


@pytest.mark.parametrize(
    ("given", "loc"),
    [
        ({"image_url": "http://127.0.0.1:1/nobody.png"}, ["body", "image_url"]),
        ({"image_urls": [data_url(plain((1, 2, 3))), data_url(b"no image")]}, ["body", "image_urls", 1]),
        ({"image_urls": ["ftp://x/y"]}, ["body", "image_urls", 0]),
    ],
)
async def test_what_is_no_image_is_422(client: Client, given: dict[str, Any], loc: list[str | int]) -> None:
    answer = await client.http.post(EDIT, json={"prompt": "edit", **given})

    detail = answer.json()["detail"][0]
    assert (answer.status_code, detail["type"], detail["loc"]) == (422, "file_download_error", loc)
