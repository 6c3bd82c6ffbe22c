"""OpenAI's official client for Python at our address: what it sends, what it gets, what it raises."""

import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from domain.auth import Scope
from tests.integration.api.openai_routes.clients import key_of, official, opened
from tests.integration.api.pictures import data_uri, png
from tests.integration.api.service import MODEL, PRICE, Service, Tenant, unique


@pytest.fixture
async def client(service: Service, tenant: Tenant) -> AsyncIterator[AsyncOpenAI]:
    async with official(tenant, service.url) as client:
        yield client


async def test_images_come_as_base64_with_openais_defaults(
    client: AsyncOpenAI, service: Service, tenant: Tenant
) -> None:
    answer = await client.images.generate(model=MODEL, prompt=unique("two boats"), n=2, user="customer-7")

    images = [opened(image.b64_json) for image in answer.data or []]
    assert [(image.format, image.size) for image in images] == [("PNG", (1024, 1024))] * 2
    assert (answer.output_format, answer.size, answer.usage) == ("png", "1024x1024", None)
    assert await tenant.credits() == (100 - 2 * PRICE, 0, 2 * PRICE)
    [job] = (await tenant.get("/v1/generations"))["data"]
    assert job["metadata"] == {"user": "customer-7"}
    assert abs(answer.created - client_seconds(job["finished_at"])) <= 1


def client_seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


async def test_every_answer_names_its_job_and_asks_for_no_repeat(client: AsyncOpenAI, tenant: Tenant) -> None:
    raw = await client.images.with_raw_response.generate(model=MODEL, prompt=unique("named"))

    [job] = (await tenant.get("/v1/generations"))["data"]
    assert raw.headers["x-generation-id"] == job["id"]
    assert raw.headers["x-should-retry"] == "false"
    assert int(raw.headers["content-length"]) == len(raw.content)


async def test_addresses_open_without_a_key(client: AsyncOpenAI, service: Service) -> None:
    answer = await client.images.generate(
        model=MODEL, prompt=unique("an address"), response_format="url", size="512x512", output_format="jpeg"
    )

    [image] = answer.data or []
    assert image.b64_json is None
    http = await service.client(service.url)
    got = await http.get(image.url or "", follow_redirects=True)
    assert (got.status_code, got.headers["content-type"]) == (200, "image/jpeg")


async def test_an_edit_sends_its_images_as_a_form(client: AsyncOpenAI, tenant: Tenant) -> None:
    files = [("a.png", png(), "image/png"), ("b.png", png(120, 90), "image/png")]
    answer = await client.images.edit(model="flux-2", prompt=unique("join"), image=files, size="512x512")
    one = await client.images.edit(model="flux-2", prompt=unique("one"), image=io.BytesIO(png()))

    assert opened((answer.data or [])[0].b64_json).size == (512, 512)
    assert len(one.data or []) == 1
    jobs = (await tenant.get("/v1/generations"))["data"]
    assert [len(job["inputs"]) for job in jobs] == [1, 2]


async def test_an_edit_as_json_takes_addresses_and_files(service: Service, tenant: Tenant) -> None:
    uploaded = await tenant.http.post("/v1/files", files={"file": ("a.png", png())})
    body = {
        "model": "flux-2",
        "prompt": unique("from json"),
        "images": [{"image_url": data_uri(png())}, {"file_id": uploaded.json()["id"]}],
    }
    answer = await tenant.http.post("/v1/images/edits", json=body)

    assert answer.status_code == 200, answer.text
    [job] = (await tenant.get("/v1/generations"))["data"]
    assert job["inputs"][1] == uploaded.json()["id"]


async def test_a_stream_has_one_event_for_each_image(client: AsyncOpenAI) -> None:
    stream = await client.images.generate(model=MODEL, prompt=unique("a stream"), n=2, stream=True)
    events = [event async for event in stream]
    edited = await client.images.edit(
        model="flux-2", prompt=unique("edited"), image=("a.png", png(), "image/png"), stream=True
    )

    assert [event.type for event in events] == ["image_generation.completed"] * 2
    assert [opened(event.b64_json).size for event in events] == [(1024, 1024)] * 2
    assert [event.type async for event in edited] == ["image_edit.completed"]


async def test_models_are_listed_and_retrieved(client: AsyncOpenAI, tenant: Tenant) -> None:
    models = [model async for model in await client.models.list()]
    one = await client.models.retrieve("flux-2-pro")

    assert {model.id for model in models} >= {MODEL, "gpt-image-2"}
    assert {model.object for model in models} == {"model"}
    assert (one.owned_by, one.created) == ("bfl", 0)
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("nothing")
    assert caught.value.code == "model_not_found"
    assert (await tenant.http.get("/v1/models/nothing")).json()["status"] == 404


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"n": 9}, "n"),
        ({"size": "3x3"}, "size"),
        ({"quality": "high"}, "quality"),
        ({"background": "transparent"}, "background"),
        ({"moderation": "low"}, "moderation"),
        ({"output_format": "webp"}, "output_format"),
        ({"output_compression": 50}, "output_compression"),
        ({"style": "vivid"}, "style"),
        ({"stream": True, "partial_images": 2}, "partial_images"),
        ({"stream": True, "response_format": "url"}, "response_format"),
        ({"response_format": "jpeg"}, "response_format"),
        ({"extra_body": {"images": [{"file_id": "file_1"}]}}, "images"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_a_model_cannot_do_is_refused_by_its_name(
    client: AsyncOpenAI, tenant: Tenant, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.generate(model=MODEL, prompt="not so", **asked)

    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")
    assert param in caught.value.message
    assert (await tenant.get("/v1/generations"))["data"] == []


async def test_what_is_wrong_with_an_edit_is_refused_by_its_name(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.edit(model="flux-2", prompt="no image", image=("a.png", b"text", "image/png"))
    assert caught.value.param == "image[0]"

    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.edit(model=MODEL, prompt="none taken", image=("a.png", png(), "image/png"))
    assert caught.value.param == "image"


async def test_errors_are_openais(service: Service, tenant: Tenant, client: AsyncOpenAI) -> None:
    unknown = client.with_options(api_key="dk_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as unauthenticated:
        await unknown.images.generate(model=MODEL, prompt="nobody")
    with pytest.raises(openai.NotFoundError) as missing:
        await client.images.generate(model="nothing", prompt="nothing")
    with pytest.raises(openai.NotFoundError) as switched_off:
        await client.images.generate(model="gpt-image-2", prompt="off")
    with pytest.raises(openai.BadRequestError) as rejected:
        await client.images.generate(model=MODEL, prompt=unique("a storm [sim:moderation]"))
    with pytest.raises(openai.InternalServerError) as failed:
        await client.images.generate(model=MODEL, prompt=unique("a wreck [sim:fail]"))

    assert unauthenticated.value.code == "invalid_api_key"
    assert missing.value.code == "model_not_found"
    assert switched_off.value.code == "model_unavailable"
    assert (rejected.value.type, rejected.value.code) == ("image_generation_user_error", "moderation_blocked")
    assert (failed.value.type, failed.value.code) == ("server_error", "provider_failed")
    for ended in (rejected.value, failed.value):
        assert isinstance(ended.body, dict)
        assert ended.body["generation_id"] == ended.response.headers["x-generation-id"]
    assert len((await tenant.get("/v1/generations"))["data"]) == 2


async def test_a_tenant_without_credits_has_no_quota(service: Service) -> None:
    poor = await service.tenant(credits=0)
    async with official(poor, service.url) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.images.generate(model=MODEL, prompt="too dear")

    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("scope", [Scope.READ_GENERATIONS, Scope.WRITE_GENERATIONS])
async def test_a_key_must_be_allowed_to_make_images_and_to_see_them(service: Service, scope: Scope) -> None:
    tenant = await service.tenant(scopes=[scope])
    async with official(tenant, service.url) as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await client.images.generate(model=MODEL, prompt="not allowed")

    assert caught.value.code == "scope_missing"
    assert await service.generations_of(tenant) == 0


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", "/v1/images/generations", b"{", {"Content-Type": "application/json"}, 400),
        ("POST", "/v1/images/generations", b"x" * 1_100_000, {"Content-Type": "application/json"}, 413),
        ("POST", "/v1/images/edits", b"x" * 1_100_000, {"Content-Type": "application/json"}, 413),
        ("POST", "/v1/images/generations", b"{}", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/images/edits", b"x", {"Content-Type": "multipart/form-data; boundary=y"}, 400),
        ("GET", "/v1/images/generations", b"", {}, 405),
        ("POST", "/v1/images/variations", b"{}", {}, 404),
    ],
)
async def test_every_refusal_has_openais_shape(
    tenant: Tenant, method: str, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer: httpx.Response = await tenant.http.request(method, path, content=content, headers=headers)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert key_of(tenant) not in answer.text
