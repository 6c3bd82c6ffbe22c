"""OpenAI's own models through our routes: its official client before us, its simulator behind us."""

from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI

from tests.integration.api.openai_routes.clients import official, opened
from tests.integration.api.pictures import png
from tests.integration.api.service import Tenant, unique
from tests.simulator.process import Client
from tests.simulator.synchronous import log_entry

LOW, AUTO = 2, 20


@pytest.fixture
async def client(tenant: Tenant, url: str) -> AsyncIterator[AsyncOpenAI]:
    async with official(tenant, url) as client:
        yield client


async def test_what_is_left_out_is_openais_default(
    client: AsyncOpenAI, simulator: Client, tenant: Tenant
) -> None:
    prompt = unique("a default")
    answer = await client.images.generate(model="gpt-image-1.5", prompt=prompt)

    assert opened((answer.data or [])[0].b64_json).format == "PNG"
    assert (answer.quality, answer.background) == (None, None)
    assert await tenant.credits() == (100 - AUTO, 0, AUTO)
    assert (await log_entry(simulator, prompt, "submit_accepted"))["endpoint"] == "gpt-image-1.5"


async def test_what_is_asked_for_is_passed_on(client: AsyncOpenAI, tenant: Tenant) -> None:
    answer = await client.images.generate(
        model="gpt-image-2",
        prompt=unique("all of it"),
        n=2,
        size="1024x1024",
        quality="low",
        background="transparent",
        output_format="webp",
        output_compression=60,
        moderation="low",
    )

    images = [opened(image.b64_json) for image in answer.data or []]
    assert [(image.format, image.size, image.mode) for image in images] == [
        ("WEBP", (1024, 1024), "RGBA")
    ] * 2
    assert (answer.quality, answer.background, answer.output_format) == ("low", "transparent", "webp")
    assert await tenant.credits() == (100 - 2 * LOW, 0, 2 * LOW)


async def test_an_edit_has_images_and_a_mask(client: AsyncOpenAI, simulator: Client) -> None:
    prompt = unique("join them")
    answer = await client.images.edit(
        model="gpt-image-1.5",
        prompt=prompt,
        image=[("a.png", png(), "image/png"), ("b.png", png(90, 30), "image/png")],
        mask=("mask.png", png(mode="RGBA"), "image/png"),
        quality="low",
    )

    assert len(answer.data or []) == 1
    accepted = await log_entry(simulator, prompt, "submit_accepted")
    assert [(each["width"], each["height"]) for each in accepted["inputs"]] == [(300, 200), (90, 30)]
    assert accepted["mask"]["width"] == 300


async def test_a_refusal_of_the_provider_is_the_clients(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.generate(model="gpt-image-2", prompt=unique("improper [sim:reject]"))

    assert (caught.value.code, caught.value.type) == ("moderation_blocked", "image_generation_user_error")
