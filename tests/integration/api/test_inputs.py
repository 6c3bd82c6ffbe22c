"""Generations with images: file ids, URLs, data URIs, and invalid inputs."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.api.pictures import PICTURE, bomb, data_uri, png
from tests.integration.api.service import Service, Tenant, unique

EDITOR = "flux-2"
MOST = 4
NO_URL = (
    "https://127.0.0.1/picture",
    "https://localhost/picture",
    "https://[::1]/picture",
    "https://10.0.0.1/picture",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:127.0.0.1]/picture",
    "https://0x7f.1/picture",
    "https://user:secret@127.0.0.1/picture",
    "https://no-such-host.invalid/picture",
    "http://example.com/picture",
    "file:///etc/passwd",
    "ftp://127.0.0.1/picture",
    "https://",
)
NO_SOURCE = (
    "",
    "picture.png",
    "gen_1",
    "file_" + "0" * 65,
    "data:image/png;base64,",
    "data:image/png;base64,@@@@",
    "data:image/png;base64,AAA",
    "data:image/png;base64,AAAA====",
    "data:image/png;base64,AA AA",
    "data:image/png,AAAA",
    "data:image/svg+xml;base64,PHN2Zy8+",
    "data:text/html;base64,AAAA",
)


async def post(tenant: Tenant, inputs: list[str], key: str | None = None, **fields: Any) -> httpx.Response:
    body = {"model": EDITOR, "prompt": fields.pop("prompt", "a hat on it"), "inputs": inputs, **fields}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await tenant.http.post("/v1/generations", json=body, headers=headers)


async def uploaded(tenant: Tenant, content: bytes | None = None) -> str:
    answer = await tenant.http.post("/v1/files", files={"file": content or png()})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def files_of(service: Service, tenant: Tenant) -> int:
    return await service.count("SELECT count(*) FROM input_files WHERE tenant_id = :id", id=tenant.id)


def fields_of(answer: httpx.Response) -> list[str]:
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def test_images_come_in_by_id_by_url_and_as_data_in_their_order(
    service: Service, tenant: Tenant
) -> None:
    file_id = await uploaded(tenant, png(100, 80))
    redirected = f"{service.pictures.origin}/elsewhere"
    answer = await post(tenant, [data_uri(png(120, 90)), file_id, redirected], prompt=unique("a hat"))
    job = answer.json()

    assert answer.status_code == 202, answer.text
    widths = [(await tenant.get(f"/v1/files/{used}"))["width"] for used in job["inputs"]]
    assert widths == [120, 100, 300]
    assert job["inputs"][1] == file_id
    assert (await tenant.ended(job["id"]))["status"] == "completed"


async def test_a_use_extends_a_files_life_by_a_week(tenant: Tenant) -> None:
    file_id = await uploaded(tenant)
    before = await tenant.get(f"/v1/files/{file_id}")
    assert (await post(tenant, [file_id])).status_code == 202

    assert (await tenant.get(f"/v1/files/{file_id}"))["expires_at"] > before["expires_at"]


async def test_a_repeat_brings_nothing_in_again(service: Service, tenant: Tenant) -> None:
    inputs, key = [data_uri(PICTURE), f"{service.pictures.origin}/picture"], uuid4().hex
    first = await post(tenant, inputs, key)
    asked, kept = len(service.pictures.heads), await files_of(service, tenant)
    again = await post(tenant, inputs, key)
    other = await post(tenant, [data_uri(png(301, 200)), inputs[1]], key)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["inputs"] == first.json()["inputs"]
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (len(service.pictures.heads), await files_of(service, tenant)) == (asked, kept)


@pytest.mark.parametrize("url", NO_URL)
async def test_an_address_that_is_not_public_https_is_refused(
    service: Service, tenant: Tenant, url: str
) -> None:
    answer = await post(tenant, [url])

    assert fields_of(answer) == ["inputs.0"]
    assert "could not be fetched" in answer.text
    assert "private" not in answer.text
    assert await files_of(service, tenant) == await service.generations_of(tenant) == 0


@pytest.mark.parametrize("path", ["inside", "large", "text", "gone", "silent"])
async def test_a_server_that_shows_no_picture_is_refused(service: Service, tenant: Tenant, path: str) -> None:
    answer = await post(tenant, [data_uri(PICTURE), f"{service.pictures.origin}/{path}"])

    assert fields_of(answer) == ["inputs.1"]
    assert await service.generations_of(tenant) == 0


@pytest.mark.parametrize("source", NO_SOURCE)
async def test_what_is_no_image_source_is_refused(service: Service, tenant: Tenant, source: str) -> None:
    assert fields_of(await post(tenant, [source])) == ["inputs.0"]
    assert await service.generations_of(tenant) == 0


async def test_every_image_that_cannot_be_had_is_named(tenant: Tenant) -> None:
    sources = ["nothing", data_uri(PICTURE), data_uri(bomb()), "https://127.0.0.1/x"]

    assert fields_of(await post(tenant, sources)) == ["inputs.0", "inputs.2", "inputs.3"]


async def test_a_file_that_is_not_there_for_this_tenant_is_refused(service: Service, tenant: Tenant) -> None:
    another, expired = await uploaded(await service.tenant()), await uploaded(tenant)
    await service.expire_file(expired)
    answer = await post(tenant, [another, await uploaded(tenant), expired, f"file_{uuid4().hex}"])

    assert fields_of(answer) == ["inputs.0", "inputs.2", "inputs.3"]
    assert {error["message"] for error in answer.json()["errors"]} == {
        "no such image: the file is unknown, has expired, or is no image"
    }


async def test_the_number_of_images_is_looked_at_before_any_is_fetched(
    service: Service, tenant: Tenant
) -> None:
    url, asked = f"{service.pictures.origin}/picture", len(service.pictures.heads)
    too_many = await post(tenant, [url] * (MOST + 1))
    far_too_many = await post(tenant, [url] * 17)
    none_taken = await post(tenant, [url], model="flux-schnell")
    bad_size = await post(tenant, [url], size="1x1")
    off = await post(tenant, [url], model="gpt-image-2")

    for answer in (too_many, far_too_many, none_taken):
        assert fields_of(answer) == ["inputs"]
    assert fields_of(bad_size) == ["size"]
    assert (off.status_code, off.json()["code"]) == (503, "model_unavailable")
    assert len(service.pictures.heads) == asked


async def test_an_image_over_the_models_limits_is_named(tenant: Tenant) -> None:
    small = await uploaded(tenant, png(63, 64))

    assert fields_of(await post(tenant, [await uploaded(tenant), small])) == ["inputs.1"]


async def test_a_mask_is_for_a_model_that_takes_one(tenant: Tenant) -> None:
    assert fields_of(await post(tenant, [data_uri(PICTURE)], mask=data_uri(png(300, 200, "RGBA")))) == [
        "mask"
    ]
    assert fields_of(await post(tenant, [], mask="nothing", model="flux-kontext")) == [
        "inputs",
        "mask",
        "mask",
    ]


@pytest.mark.parametrize("kind", ["image/jpg", "image/JPEG", "IMAGE/PNG"])
async def test_a_picture_as_data_may_have_the_name_that_people_give_it(tenant: Tenant, kind: str) -> None:
    given = data_uri(PICTURE).replace("image/png", kind)
    answer = await post(tenant, [given])
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    "options",
    [
        {"guidance": {"a": 1}},
        {"guidance": [1]},
        {"guidance": None},
        {"a\0": 1},
        {"a": "\ud800"},
        {str(number): 1 for number in range(21)},
        {"a": 2**70},
        {"num_inference_steps": 51},
        {"num_inference_steps": True},
        {"secret": 1},
        {"guidance_scale": float("nan")},
        {"guidance_scale": float("inf")},
        [],
        "guidance",
    ],
    ids=range(14),
)
async def test_options_are_scalars_that_the_model_knows(
    service: Service, tenant: Tenant, options: object
) -> None:
    body = json.dumps({"model": "flux-dev", "prompt": "a fox", "options": options})
    headers = {"Content-Type": "application/json"}
    answer = await tenant.http.post("/v1/generations", content=body, headers=headers)

    assert all(field.startswith("options") for field in fields_of(answer))
    assert await service.generations_of(tenant) == 0


async def test_options_reach_the_provider(tenant: Tenant) -> None:
    options = {"num_inference_steps": 12, "guidance_scale": 2.5}
    answer = await tenant.post(unique("a fox"), model="flux-dev", options=options)

    assert answer.status_code == 202
    assert (await tenant.ended(answer.json()["id"]))["status"] == "completed"


async def test_many_requests_with_many_images_are_all_served(service: Service, tenant: Tenant) -> None:
    url = f"{service.pictures.origin}/picture"
    answers = await asyncio.gather(*(post(tenant, [url] * MOST) for _ in range(5)))

    assert [answer.status_code for answer in answers] == [202] * 5
    assert await files_of(service, tenant) == 5 * MOST
