"""Partial images through our route: OpenAI's official client before us, its simulator behind us."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from composition.storage import object_store
from tests.integration.api.openai_routes.clients import official, opened
from tests.integration.api.pictures import png
from tests.integration.api.service import MODEL, TERMINAL, Service, Tenant, unique
from tests.simulator.process import Client
from tests.simulator.synchronous import log_entry

LOW, PARTIAL = 2, 1
GPT = "gpt-image-1.5"


@pytest.fixture
async def client(tenant: Tenant, url: str) -> AsyncIterator[AsyncOpenAI]:
    async with official(tenant, url) as client:
        yield client


async def only_job(tenant: Tenant) -> dict[str, Any]:
    [job] = (await tenant.get("/v1/generations"))["data"]
    return dict(job)


async def test_they_come_before_the_image_and_cost_what_was_told(
    client: AsyncOpenAI, tenant: Tenant, simulator: Client
) -> None:
    prompt = unique("step by step [sim:latency=3]")
    stream = await client.images.generate(
        model=GPT, prompt=prompt, quality="low", size="1536x1024", stream=True, partial_images=2
    )
    events = [event async for event in stream]

    kind = "image_generation"
    assert [event.type for event in events] == [*[f"{kind}.partial_image"] * 2, f"{kind}.completed"]
    drafts = [event for event in events if event.type == "image_generation.partial_image"]
    assert [event.partial_image_index for event in drafts] == [0, 1]
    assert [(event.size, event.quality, event.output_format) for event in events] == [
        ("1536x1024", "low", "png")
    ] * 3
    assert [opened(event.b64_json).size for event in events] == [(1536, 1024)] * 3
    assert len({event.b64_json for event in events}) == 3
    assert await tenant.credits() == (100 - LOW - 2 * PARTIAL, 0, LOW + 2 * PARTIAL)
    assert (await log_entry(simulator, prompt, "submit_accepted"))["arguments"]["partial_images"] == 2


async def test_the_first_is_read_while_the_job_runs(client: AsyncOpenAI, tenant: Tenant) -> None:
    stream = await client.images.generate(
        model=GPT, prompt=unique("slowly [sim:latency=8]"), stream=True, partial_images=1
    )
    first = await anext(stream)

    assert first.type == "image_generation.partial_image"
    assert (await only_job(tenant))["status"] not in TERMINAL
    assert [event.type async for event in stream] == ["image_generation.completed"]


async def test_an_edit_has_events_of_its_own(client: AsyncOpenAI) -> None:
    stream = await client.images.edit(
        model=GPT,
        prompt=unique("an edit [sim:latency=3]"),
        image=("a.png", png(), "image/png"),
        stream=True,
        partial_images=1,
    )

    assert [event.type async for event in stream] == ["image_edit.partial_image", "image_edit.completed"]


async def test_the_log_has_facts_and_no_image(client: AsyncOpenAI, tenant: Tenant) -> None:
    stream = await client.images.generate(
        model=GPT, prompt=unique("logged [sim:latency=3]"), stream=True, partial_images=1
    )
    image, *_ = [event.b64_json async for event in stream]
    events = (await tenant.get(f"/v1/generations/{(await only_job(tenant))['id']}/events"))["data"]

    [told] = [event for event in events if event["type"] == "image.partial"]
    assert told["data"].keys() == {
        *("index", "partial_index", "width", "height", "content_type", "size_bytes")
    }
    assert told["data"]["size_bytes"] == len(image) * 3 // 4 - image.count("=")
    assert image[:100] not in json.dumps(events)


async def test_a_repeat_gets_them_again_and_one_image(client: AsyncOpenAI, tenant: Tenant) -> None:
    prompt, headers = unique("again [sim:latency=3]"), {"Idempotency-Key": unique("key")}

    async def types() -> list[str]:
        stream = await client.images.generate(
            model=GPT, prompt=prompt, stream=True, partial_images=1, extra_headers=headers
        )
        return [event.type async for event in stream]

    expected = ["image_generation.partial_image", "image_generation.completed"]
    assert await types() == expected
    assert await types() == expected
    await only_job(tenant)


async def test_a_repeat_leaves_out_those_that_are_gone(
    client: AsyncOpenAI, service: Service, tenant: Tenant
) -> None:
    prompt, headers = unique("gone [sim:latency=3]"), {"Idempotency-Key": unique("key")}
    asked: dict[str, Any] = {"model": GPT, "prompt": prompt, "partial_images": 1, "extra_headers": headers}
    stream = await client.images.generate(**asked, stream=True)
    assert len([event async for event in stream]) == 2
    job = await only_job(tenant)
    async with object_store(service.settings) as store:
        assert await store.delete_objects([f"{tenant.id}/{job['id']}/0-partial-0"]) == 1

    again = await client.images.generate(**asked, stream=True)
    assert [event.type async for event in again] == ["image_generation.completed"]


async def test_a_provider_that_breaks_off_is_an_error_in_the_stream(
    client: AsyncOpenAI, tenant: Tenant
) -> None:
    stream = await client.images.generate(
        model=GPT, prompt=unique("broken [sim:latency=3] [sim:moderation]"), stream=True, partial_images=1
    )
    assert (await anext(stream)).type == "image_generation.partial_image"
    with pytest.raises(openai.APIError) as caught:
        await anext(stream)

    assert caught.value.code == "moderation_blocked"
    assert await tenant.credits() == (100, 0, 0)


@pytest.mark.parametrize(
    "asked",
    [
        {"model": MODEL, "stream": True, "partial_images": 1},
        {"model": GPT, "partial_images": 1},
        {"model": GPT, "stream": True, "partial_images": 4},
        {"model": GPT, "stream": True, "partial_images": 1, "n": 2},
    ],
    ids=["another model", "no stream", "too many", "several images"],
)
async def test_what_cannot_be_is_refused_by_its_name(
    client: AsyncOpenAI, tenant: Tenant, asked: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.generate(prompt="not so", **asked)

    assert caught.value.param == "partial_images"
    assert (await tenant.get("/v1/generations"))["data"] == []


@pytest.mark.parametrize("model", [MODEL, GPT])
async def test_none_is_what_every_model_does(client: AsyncOpenAI, model: str) -> None:
    stream = await client.images.generate(model=model, prompt=unique("none"), stream=True, partial_images=0)
    assert [event.type async for event in stream] == ["image_generation.completed"]


async def test_the_native_route_does_not_sell_what_it_cannot_send(tenant: Tenant, url: str) -> None:
    body = {"model": GPT, "prompt": unique("native"), "quality": "low", "partial_images": 3}
    for path in ("/v1/generations", "/v1/generations/estimate"):
        refused = await tenant.http.post(path, json=body)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "partial_images")
    async with official(tenant, url) as client:
        model = await client.get(f"/models/{GPT}", cast_to=dict[str, Any])
    assert model["price"]["per_partial_image"] == PARTIAL
    assert model["parameters"]["partial_images"]["maximum"] == 3
    assert await tenant.credits() == (100, 0, 0)
