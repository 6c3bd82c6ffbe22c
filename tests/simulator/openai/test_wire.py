"""OpenAI's Images API, request by request, as documented."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.simulator.openai.account import EDITS, GENERATIONS, edit, generate
from tests.simulator.pictures import data_url, mask_with_hole_at_the_left, opened, plain, sha256
from tests.simulator.process import KEY, Client
from tests.simulator.synchronous import log_entry, running

PNG = plain((9, 99, 9))


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with running("openai", tmp_path_factory.mktemp("openai"), headers) as client:
        yield client


@pytest.fixture
async def client(shared: Client) -> AsyncIterator[Client]:
    yield shared
    await shared.http.delete("/_sim/faults")


async def test_a_response_has_the_documented_fields(client: Client) -> None:
    answer = await generate(client, "documented")

    body = answer.json()
    assert body.keys() == {"created", "background", "output_format", "quality", "size", "data", "usage"}
    assert [image.keys() for image in body["data"]] == [{"b64_json"}]
    assert answer.headers["x-request-id"].startswith("req_")
    jobs = (await client.http.get("/_sim/jobs")).json()["jobs"]
    assert (jobs[0]["request_id"], jobs[0]["state"]) == (answer.headers["x-request-id"], "done")


@pytest.mark.parametrize("size", ["16x16", "3840x2160", "2160x3840", "1024x3072", "768x256"])
async def test_any_size_within_the_limits_is_drawn(client: Client, size: str) -> None:
    body = (await generate(client, "sized", size=size, output_format="jpeg")).json()

    image = opened(body["data"][0]["b64_json"])
    assert (f"{image.width}x{image.height}", image.format) == (size, "JPEG")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "empty_string"),
        ({"prompt": "x" * 32_001}, "prompt", "string_above_max_length"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": "x [sim:nonsense]"}, "prompt", "invalid_value"),
        ({"prompt": "x [sim:early_webhook]"}, "prompt", "invalid_value"),
        ({"model": "dall-e-9"}, "model", "invalid_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 11}, "n", "integer_above_max_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"size": "100x100"}, "size", "invalid_value"),
        ({"size": "256x784"}, "size", "invalid_value"),
        ({"size": "3856x2160"}, "size", "invalid_value"),
        ({"size": "3840x2176"}, "size", "invalid_value"),
        ({"size": "0x0"}, "size", "invalid_value"),
        ({"size": "large"}, "size", "invalid_value"),
        ({"model": "gpt-image-1.5", "size": "256x256"}, "size", "invalid_value"),
        ({"quality": "hd"}, "quality", "invalid_value"),
        ({"output_format": "gif"}, "output_format", "invalid_value"),
        ({"output_compression": 101}, "output_compression", "integer_above_max_value"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "invalid_value"),
        ({"partial_images": 4}, "partial_images", "integer_above_max_value"),
        ({"response_format": "b64_json"}, "response_format", "unknown_parameter"),
        ({"seed": 1}, "seed", "unknown_parameter"),
    ],
)
async def test_what_it_cannot_take_is_400_with_the_parameter(
    client: Client, fields: dict[str, Any], param: str, code: str
) -> None:
    body = {"prompt": "x", "model": "gpt-image-2", **fields}
    answer = await client.http.post(GENERATIONS, json=body)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"n": NaN}'])
async def test_what_is_not_a_json_object_is_400(client: Client, body: bytes) -> None:
    assert (await client.http.post(GENERATIONS, content=body)).status_code == 400


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Key {KEY}"])
@pytest.mark.parametrize("path", [GENERATIONS, EDITS, "/v1/moderations"])
async def test_a_wrong_key_is_401(client: Client, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with httpx.AsyncClient(base_url=client.http.base_url, headers=headers, trust_env=False) as stranger:
        answer = await stranger.post(path, json={"prompt": "x", "input": "x"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("name", ["image", "image[]"])
async def test_a_form_may_repeat_its_images_under_either_name(client: Client, name: str) -> None:
    prompt, other = f"repeated {name}", plain((1, 2, 3), image_format="webp")
    files = [(name, ("a.png", PNG, "image/png")), (name, ("b.webp", other, "image/webp"))]
    answer = await client.http.post(EDITS, data={"prompt": prompt, "n": "2"}, files=files)

    assert len(answer.json()["data"]) == 2
    accepted = await log_entry(client, prompt, "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(PNG), sha256(other)]


async def test_json_takes_images_as_data_urls(client: Client) -> None:
    mask = mask_with_hole_at_the_left()
    answer = await edit(client, "in json", [PNG] * 16, mask={"image_url": data_url(mask)})

    assert answer.status_code == 200, answer.text
    accepted = await log_entry(client, "in json", "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(PNG)] * 16
    assert accepted["mask"]["sha256"] == sha256(mask)


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [
        (PNG, "application/octet-stream", "unsupported_file_mimetype"),
        (b"<html>", "image/png", "invalid_image_file"),
        (PNG[: len(PNG) // 2], "image/png", "invalid_image_file"),
        (plain((1, 2, 3), image_format="gif"), "image/png", "invalid_image_file"),
        (b"", "image/png", "invalid_image_file"),
    ],
)
async def test_inputs_are_really_decoded(
    client: Client, content: bytes, content_type: str, code: str
) -> None:
    files = {"image": ("a.png", content, content_type)}
    answer = await client.http.post(EDITS, data={"prompt": "x"}, files=files)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("count", "code"), [(0, "missing_required_parameter"), (17, "array_above_max_length")]
)
async def test_an_edit_takes_one_to_sixteen_images(client: Client, count: int, code: str) -> None:
    answer = await edit(client, "crowded", [PNG] * count)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    "mask",
    [
        plain((0, 0, 0)),
        plain((0, 0, 0, 9), (10, 10)),
        plain((0, 0, 0, 9), image_format="webp"),
        b"no image",
    ],
)
async def test_a_mask_is_a_png_with_alpha_of_the_first_images_size(client: Client, mask: bytes) -> None:
    answer = await edit(client, "masked", [PNG], mask={"image_url": data_url(mask)})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "mask")


@pytest.mark.parametrize(
    "reference", [{"image_url": "http://127.0.0.1:1/a.png"}, {"file_id": "file-1"}, "text", {}]
)
async def test_a_reference_that_leads_nowhere_is_400(client: Client, reference: Any) -> None:
    answer = await client.http.post(EDITS, json={"prompt": "x", "images": [reference]})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_image_url")


async def test_an_input_alone_decides_the_shape_of_anedit(client: Client) -> None:
    shapes = [plain((5, 5, 5), size) for size in ((40, 20), (20, 40), (20, 20))]

    sizes = [(await edit(client, "shaped", [shape])).json()["size"] for shape in shapes]
    assert sizes == ["1536x1024", "1024x1536", "1024x1024"]


@pytest.mark.parametrize("given", [None, 5, [], [5], [{"type": "text"}], [{"type": "image_url"}], ["x", {}]])
async def test_moderation_wants_texts_or_parts(client: Client, given: Any) -> None:
    answer = await client.http.post("/v1/moderations", json={"input": given})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


async def test_one_moderation_is_one_line_in_the_log(client: Client) -> None:
    answer = await client.http.post("/v1/moderations", json={"input": "all is well"})

    assert answer.json()["model"].startswith("omni-moderation")
    assert answer.json()["id"].startswith("modr-")
    entry = await log_entry(client, "all is well", "moderation_checked")
    assert (entry["flagged"], entry["inputs"]) == (False, 1)
