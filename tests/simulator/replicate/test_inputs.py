"""Replicate's input images, uploads, and data removal."""

import io
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from tests.simulator.conftest import QUICK
from tests.simulator.pictures import data_url, plain
from tests.simulator.process import SimulatorProcess
from tests.simulator.replicate.account import KONTEXT, ReplicateAccount
from tests.support.eventually import eventually


async def test_an_input_image_is_in_the_picture(replicate_account: ReplicateAccount) -> None:
    given = {"input_image": data_url(plain((200, 30, 30), (64, 64))), "output_format": "png"}
    ended = await replicate_account.ended(await replicate_account.created("edit", KONTEXT, **given))
    image = Image.open(io.BytesIO((await replicate_account.http.get(ended["output"])).content))

    assert (image.size, image.getpixel((512, 256))) == ((1024, 1024), (200, 30, 30))


@pytest.mark.parametrize(
    "address",
    [
        "data:image/png;base64," + b64encode(b"not an image").decode(),
        "data:image/png;base64,%%%",
        "http://127.0.0.1:1/nobody.png",
        "file:///etc/hostname",
        data_url(Image.effect_noise((700, 700), 100).tobytes() * 2),
    ],
)
async def test_an_input_that_is_no_image_is_422(replicate_account: ReplicateAccount, address: str) -> None:
    response = await replicate_account.create("edit", KONTEXT, input_image=address)

    assert response.status_code == 422
    assert response.json()["invalid_fields"][0]["field"] == "input.input_image"


async def test_an_upload_is_described_used_and_removed(replicate_account: ReplicateAccount) -> None:
    content = plain((10, 20, 30))
    files = {"content": ("in.png", content, "image/png")}
    created = await replicate_account.http.post("/v1/files", files=files, data={"metadata": '{"a": 1}'})
    record = created.json()
    edited = await replicate_account.create("use it", KONTEXT, input_image=record["urls"]["get"])
    shown = (await replicate_account.http.get(record["urls"]["get"])).json()
    removed = await replicate_account.http.delete(record["urls"]["get"])
    after = await replicate_account.create("use it again", KONTEXT, input_image=record["urls"]["get"])

    assert (created.status_code, edited.status_code, removed.status_code) == (201, 201, 204)
    assert (record["name"], record["content_type"], record["size"]) == ("in.png", "image/png", len(content))
    assert (record["metadata"], shown) == ({"a": 1}, record)
    assert after.status_code == 404


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[SimulatorProcess]:
    running = SimulatorProcess(tmp_path, (*QUICK, "--result-seconds", "1"), provider="replicate")
    await running.start()
    yield running
    running.stop()


async def test_data_is_removed_after_its_time(forgetful: SimulatorProcess) -> None:
    account = ReplicateAccount(forgetful.url)
    async with account.http:
        ended = await account.ended(await account.created("fleeting"))
        before = await account.http.get(ended["output"][0])

        async def is_removed() -> bool:
            return bool((await account.now(ended))["data_removed"])

        await eventually(is_removed)
        removed = await account.now(ended)
        after = await account.http.get(ended["output"][0])

    assert (before.status_code, after.status_code) == (200, 404)
    assert (removed["status"], removed["output"], removed["input"], removed["logs"]) == (
        "succeeded",
        None,
        {},
        "",
    )
