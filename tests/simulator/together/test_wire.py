"""Together's image endpoint request by request, and each fault as it looks on the wire."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from simulator.core.images.render import input_boxes
from tests.simulator.pictures import colour_at, data_url, is_near, opened, plain, sha256
from tests.simulator.process import KEY, Client
from tests.simulator.synchronous import kinds, leave_while_it_works, log_entry, running

PATH = "/v1/images/generations"
SCHNELL = "black-forest-labs/FLUX.1-schnell"
KONTEXT = "black-forest-labs/FLUX.1-kontext-pro"
FLUX_2 = "black-forest-labs/FLUX.2-pro"
RED, BLUE = (230, 20, 20), (20, 20, 230)
PNG = plain(RED)


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with running("together", tmp_path_factory.mktemp("together"), headers) as client:
        yield client


@pytest.fixture
async def client(shared: Client) -> AsyncIterator[Client]:
    yield shared
    await shared.http.delete("/_sim/faults")


async def _generate(client: Client, prompt: str, **fields: Any) -> httpx.Response:
    body = {"model": SCHNELL, "prompt": prompt, "width": 256, "height": 192, **fields}
    return await client.http.post(PATH, json=body)


async def _file(client: Client, prompt: str, **fields: Any) -> httpx.Response:
    """Download the first image of a result with addresses."""
    answer = await _generate(client, prompt, **fields)
    return await client.http.get(answer.json()["data"][0]["url"])


async def test_images_come_as_base64_in_the_response(client: Client) -> None:
    fields = {"response_format": "base64", "output_format": "png", "steps": 4, "seed": 7}
    body = (await _generate(client, "inline", n=2, **fields)).json()

    assert (body.keys(), body["object"], body["model"]) == (
        {"id", "model", "object", "data"},
        "list",
        SCHNELL,
    )
    assert [(image["index"], image["type"]) for image in body["data"]] == [(0, "b64_json"), (1, "b64_json")]
    images = [opened(image["b64_json"]) for image in body["data"]]
    assert [(image.size, image.format) for image in images] == [((256, 192), "PNG")] * 2
    assert images[0].tobytes() != images[1].tobytes()
    done = await log_entry(client, "inline", "generation_done")
    assert (done["request_id"], done["images"], done["charged"]) == (body["id"], 2, True)


async def test_images_come_as_addresses_by_default(client: Client) -> None:
    body = (await _generate(client, "by address", n=2)).json()

    assert [(image["index"], image["type"]) for image in body["data"]] == [(0, "url"), (1, "url")]
    files = [await client.http.get(image["url"]) for image in body["data"]]
    assert [opened(file.content).size for file in files] == [(256, 192)] * 2
    assert files[0].content != files[1].content


async def test_an_aspect_ratio_goes_before_width_and_height(client: Client) -> None:
    file = await _file(client, "wide", aspect_ratio="16:9")

    assert opened(file.content).size == (1360, 768)


@pytest.mark.parametrize("response_format", ["base64", "url"])
async def test_references_are_in_the_picture(client: Client, response_format: str) -> None:
    prompt, other = f"together as {response_format}", plain(BLUE, image_format="webp")
    answer = await _generate(
        client,
        prompt,
        model=FLUX_2,
        response_format=response_format,
        reference_images=[data_url(PNG), data_url(other, "image/webp")],
    )

    image = answer.json()["data"][0]
    content = (await client.http.get(image["url"])).content if "url" in image else image["b64_json"]
    picture = opened(content)
    left, right = input_boxes(picture.size, 2)
    assert is_near(colour_at(picture, left), RED)
    assert is_near(colour_at(picture, right), BLUE)
    accepted = await log_entry(client, prompt, "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(PNG), sha256(other)]


async def test_an_input_is_fetched_from_its_address(client: Client) -> None:
    address = (await _generate(client, "to be edited")).json()["data"][0]["url"]
    content = (await client.http.get(address)).content
    answer = await _generate(client, "edited", model=KONTEXT, image_url=address)

    assert answer.status_code == 200, answer.text
    accepted = await log_entry(client, "edited", "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(content)]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"prompt": None}, 400, "prompt"),
        ({"prompt": "x [sim:nonsense]"}, 400, "prompt"),
        ({"prompt": "x [sim:hang=1]"}, 400, "prompt"),
        ({"model": None}, 400, "model"),
        ({"model": "nobody/nothing"}, 404, "model"),
        ({"n": 0}, 400, "n"),
        ({"n": 5}, 400, "n"),
        ({"n": "1"}, 400, "n"),
        ({"steps": 51}, 400, "steps"),
        ({"width": 100}, 400, "width"),
        ({"height": 2056}, 400, "height"),
        ({"aspect_ratio": "wide"}, 400, "aspect_ratio"),
        ({"response_format": "b64_json"}, 400, "response_format"),
        ({"output_format": "webp"}, 400, "output_format"),
        ({"image_url": data_url(PNG)}, 400, "reference_images"),
        ({"model": KONTEXT, "image_url": data_url(b"<html>")}, 400, "image_url"),
        ({"model": KONTEXT, "image_url": "http://127.0.0.1:1/a.png"}, 400, "image_url"),
    ],
)
async def test_what_it_cannot_take_names_the_parameter(
    client: Client, fields: dict[str, Any], status: int, param: str
) -> None:
    answer = await client.http.post(PATH, json={"model": SCHNELL, "prompt": "x", **fields})

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"n": NaN}'])
async def test_what_is_not_a_json_object_is_400(client: Client, body: bytes) -> None:
    assert (await client.http.post(PATH, content=body)).status_code == 400


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Key {KEY}"])
async def test_a_wrong_key_is_401(client: Client, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with httpx.AsyncClient(base_url=client.http.base_url, headers=headers, trust_env=False) as stranger:
        answer = await stranger.post(PATH, json={"model": SCHNELL, "prompt": "x"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("marker", "status", "is_accepted"),
    [
        ("submit_429=4", 429, False),
        ("submit_500", 500, False),
        ("submit_503", 503, False),
        ("insufficient_quota", 402, False),
        ("invalid_key", 401, False),
        ("reject", 422, False),
        ("moderation", 422, True),
        ("fail", 500, True),
    ],
)
async def test_a_failure_has_its_status_and_is_not_charged(
    client: Client, marker: str, status: int, is_accepted: bool
) -> None:
    prompt = f"in vain [sim:{marker}]"
    answer = await _generate(client, prompt)

    assert (answer.status_code, answer.json()["error"]["message"] != "") == (status, True)
    assert answer.headers.get("retry-after") == ("4" if status == 429 else None)
    if is_accepted:
        assert (await log_entry(client, prompt, "generation_done"))["charged"] is False
    else:
        assert (await log_entry(client, prompt, "submit_rejected"))["status"] == status


@pytest.mark.parametrize("response_format", ["base64", "url"])
@pytest.mark.parametrize(("marker", "delivered"), [("fewer_images=2", 2), ("empty_result", 0)])
async def test_fewer_images_than_asked_are_counted_as_delivered(
    client: Client, marker: str, delivered: int, response_format: str
) -> None:
    prompt = f"some {response_format} [sim:{marker}]"
    body = (await _generate(client, prompt, n=3, response_format=response_format)).json()

    assert [image["index"] for image in body["data"]] == list(range(delivered))
    assert (await log_entry(client, prompt, "generation_done"))["images"] == delivered


async def test_wrong_bytes_are_in_the_response_or_in_the_file(client: Client) -> None:
    file = await _file(client, "a page by address [sim:wrong_bytes]")
    inline = await _generate(client, "a page inline [sim:wrong_bytes]", response_format="base64")

    assert (file.content.startswith(b"<!doctype"), file.headers["content-type"]) == (True, "image/jpeg")
    with pytest.raises(OSError, match="cannot identify"):
        opened(inline.json()["data"][0]["b64_json"])


@pytest.mark.parametrize("response_format", ["base64", "url"])
async def test_a_truncated_body_is_the_response_or_the_file(client: Client, response_format: str) -> None:
    get = _generate if response_format == "base64" else _file
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await get(client, "cut [sim:truncated_body]", response_format=response_format)


async def test_a_truncated_response_without_a_length_is_half_a_json(client: Client) -> None:
    answer = await _generate(client, "halved [sim:truncated_body=none]", response_format="base64")

    with pytest.raises(json.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("response_format", ["base64", "url"])
@pytest.mark.parametrize("marker", ["latency=0.5", "submit_latency=0.5", "slow_body=0.6"])
async def test_it_can_be_slow(client: Client, marker: str, response_format: str) -> None:
    get = _generate if response_format == "base64" else _file
    started = time.monotonic()
    answer = await get(client, f"wait [sim:{marker}]", response_format=response_format)

    assert (answer.status_code, time.monotonic() - started >= 0.5) == (200, True)


async def test_an_expired_address_is_dead(client: Client) -> None:
    assert (await _file(client, "gone [sim:expired_url=1,status=404]")).status_code == 404


async def test_not_json_is_a_page_with_200(client: Client) -> None:
    answer = await _generate(client, "a page at all [sim:not_json]")

    assert (answer.status_code, answer.content.startswith(b"<!doctype")) == (200, True)


async def test_a_huge_body_announces_no_length(client: Client) -> None:
    answer = await _generate(client, "padded [sim:huge_body=3]")

    assert (len(answer.content) > 3_000_000, "content-length" in answer.headers) == (True, False)


async def test_a_lost_response_was_done_and_charged(client: Client) -> None:
    prompt = "lost [sim:lost_answer]"
    with pytest.raises(httpx.RemoteProtocolError):
        await _generate(client, prompt)

    assert await kinds(client, prompt) == ["fault_fired", "submit_accepted", "generation_done", "answer_lost"]


@pytest.mark.parametrize(("marker", "is_done"), [("latency=1", True), ("hang", False)])
async def test_what_is_done_is_charged_though_its_client_left(
    client: Client, marker: str, is_done: bool
) -> None:
    prompt = f"left [sim:{marker}]"
    await leave_while_it_works(client, PATH, {"model": SCHNELL, "prompt": prompt})

    assert (await log_entry(client, prompt, "answer_lost"))["by"] == "client"
    assert ("generation_done" in await kinds(client, prompt)) is is_done


async def test_a_rule_can_match_a_model(client: Client) -> None:
    await client.put_fault("submit_503", match={"endpoint": FLUX_2}, times=1)
    statuses = [
        (await _generate(client, "ruled", model=model)).status_code for model in (SCHNELL, FLUX_2, FLUX_2)
    ]

    assert statuses == [200, 503, 200]
