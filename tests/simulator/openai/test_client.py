"""The official openai client, unchanged except for its base URL."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Literal

import openai
import pytest
from openai import AsyncOpenAI
from openai.types import ModerationImageURLInputParam, ModerationTextInputParam

from simulator.core.images.render import input_boxes
from tests.simulator.pictures import colour_at, is_near, mask_with_hole_at_the_left, opened, plain, sha256
from tests.simulator.process import KEY, Client
from tests.simulator.synchronous import kinds, log_entry, running

RED, BLUE = (230, 20, 20), (20, 20, 230)


@pytest.fixture(scope="module")
async def simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with running("openai", tmp_path_factory.mktemp("openai"), headers) as client:
        yield client


@pytest.fixture(scope="module")
async def official(simulator: Client) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{simulator.http.base_url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


async def test_a_generation_has_as_many_images_as_asked_at_the_size_asked(
    official: AsyncOpenAI, simulator: Client
) -> None:
    answer = await official.images.generate(
        model="gpt-image-2", prompt="two boats", n=2, size="1280x720", output_format="webp", quality="low"
    )

    images = [opened(image.b64_json or "") for image in answer.data or []]
    assert [(image.size, image.format) for image in images] == [((1280, 720), "WEBP")] * 2
    assert images[0].tobytes() != images[1].tobytes()
    assert (answer.size, answer.quality, answer.background) == ("1280x720", "low", "opaque")
    done = await log_entry(simulator, "two boats", "generation_done")
    assert (done["images"], done["charged"], done["request_id"]) == (2, True, answer._request_id)


async def test_usage_grows_with_size_quality_and_images(official: AsyncOpenAI) -> None:
    asked: list[tuple[str, Literal["low", "high"], int]] = [
        ("1024x1024", "low", 1),
        ("1024x1024", "high", 1),
        ("1536x1024", "high", 2),
    ]
    counted = []
    for size, quality, n in asked:
        answer = await official.images.generate(
            model="gpt-image-1.5", prompt="cost", size=size, quality=quality, n=n
        )
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
        counted.append(answer.usage.output_tokens)

    assert all(less < more for less, more in pairwise(counted))


async def test_a_transparent_background_has_an_alpha_channel(official: AsyncOpenAI) -> None:
    answer = await official.images.generate(model="gpt-image-2", prompt="a sticker", background="transparent")

    image = opened((answer.data or [])[0].b64_json or "")
    assert image.getchannel("A").getextrema() == (0, 255)
    assert answer.background == "transparent"


async def test_an_edit_shows_both_inputs_and_the_hole_of_the_mask(
    official: AsyncOpenAI, simulator: Client
) -> None:
    first, second = plain(RED), plain(BLUE, (90, 30), "webp")
    mask = mask_with_hole_at_the_left()
    answer = await official.images.edit(
        model="gpt-image-2",
        prompt="join them",
        size="1024x1024",
        image=[("a.png", first, "image/png"), ("b.webp", second, "image/webp")],
        mask=("mask.png", mask, "image/png"),
    )

    image = opened((answer.data or [])[0].b64_json or "")
    left, right = input_boxes(image.size, 2)
    assert is_near(colour_at(image, left, 0.75), RED)
    assert not is_near(colour_at(image, left, 0.25), RED)
    assert is_near(colour_at(image, right), BLUE)
    accepted = await log_entry(simulator, "join them", "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(first), sha256(second)]
    assert accepted["mask"]["sha256"] == sha256(mask)


async def test_one_image_goes_without_brackets(official: AsyncOpenAI, simulator: Client) -> None:
    content = plain(BLUE, image_format="jpeg")
    await official.images.edit(prompt="just one", image=("a.jpg", content, "image/jpeg"))

    accepted = await log_entry(simulator, "just one", "submit_accepted")
    assert [(each["sha256"], each["format"]) for each in accepted["inputs"]] == [(sha256(content), "jpeg")]
    assert accepted["endpoint"] == "gpt-image-1.5"


@pytest.mark.parametrize(
    ("marker", "stage", "category"),
    [("reject", "input", "violence"), ("reject=hate", "input", "hate"), ("moderation", "output", "sexual")],
)
async def test_moderation_is_a_bad_request(
    official: AsyncOpenAI, marker: str, stage: str, category: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await official.images.generate(model="gpt-image-2", prompt=f"improper [sim:{marker}]")

    assert (caught.value.code, caught.value.type) == ("moderation_blocked", "image_generation_user_error")
    assert f"safety_violations=[{category}]" in caught.value.message
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["moderation_details"]["moderation_stage"] == stage


@pytest.mark.parametrize(
    ("marker", "kind", "code"),
    [
        ("submit_429=3", openai.RateLimitError, "rate_limit_exceeded"),
        ("insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("invalid_key", openai.AuthenticationError, "invalid_api_key"),
        ("submit_500", openai.InternalServerError, None),
        ("submit_503", openai.InternalServerError, "server_is_overloaded"),
        ("fail", openai.InternalServerError, "image_generation_failed"),
    ],
)
async def test_errors_have_their_class_and_are_asked_for_once(
    official: AsyncOpenAI, simulator: Client, marker: str, kind: type[openai.APIStatusError], code: str | None
) -> None:
    prompt = f"in vain [sim:{marker}]"
    with pytest.raises(kind) as caught:
        await official.images.generate(model="gpt-image-2", prompt=prompt)

    assert caught.value.code == code
    assert caught.value.request_id is not None
    assert caught.value.response.headers.get("retry-after") == ("3" if "429" in marker else None)
    reported = await kinds(simulator, prompt)
    assert (
        reported.count("submit_rejected") + reported.count("submit_accepted"),
        "generation_done" in reported,
    ) == (
        1,
        marker == "fail",
    )


async def test_a_client_that_retries_gets_in_after_a_refusal(
    official: AsyncOpenAI, simulator: Client
) -> None:
    prompt = "try again [sim:submit_503]"
    await official.with_options(max_retries=1).images.generate(model="gpt-image-2", prompt=prompt)

    reported = await kinds(simulator, prompt)
    assert (reported.count("submit_rejected"), reported.count("submit_accepted")) == (1, 1)


async def test_a_client_that_retries_a_lost_response_pays_twice(
    official: AsyncOpenAI, simulator: Client
) -> None:
    prompt = "gone [sim:lost_answer]"
    with pytest.raises(openai.APIConnectionError):
        await official.with_options(max_retries=1).images.generate(model="gpt-image-2", prompt=prompt)

    reported = await kinds(simulator, prompt)
    assert (reported.count("generation_done"), reported.count("answer_lost")) == (2, 2)


async def test_a_client_that_does_not_wait_pays_all_the_same(
    official: AsyncOpenAI, simulator: Client
) -> None:
    prompt = "impatient [sim:latency=1]"
    with pytest.raises(openai.APITimeoutError):
        await official.with_options(timeout=0.3).images.generate(model="gpt-image-2", prompt=prompt)

    assert (await log_entry(simulator, prompt, "generation_done"))["charged"] is True
    assert (await log_entry(simulator, prompt, "answer_lost"))["by"] == "client"


async def test_a_stream_has_drafts_before_the_image(official: AsyncOpenAI, simulator: Client) -> None:
    stream = await official.images.generate(
        model="gpt-image-2", prompt="step by step", stream=True, partial_images=2, size="512x512"
    )
    events = [event async for event in stream]

    assert [event.type for event in events] == [
        *["image_generation.partial_image"] * 2,
        "image_generation.completed",
    ]
    assert len({event.b64_json for event in events}) == 3
    assert opened(events[-1].b64_json).size == (512, 512)
    assert events[-1].type == "image_generation.completed"
    assert events[-1].usage.output_tokens > 0
    assert (await kinds(simulator, "step by step"))[-2:] == ["generation_done", "result_served"]


async def test_an_edit_streams_events_of_its_own(official: AsyncOpenAI) -> None:
    stream = await official.images.edit(
        prompt="edit by edit", image=("a.png", plain(RED), "image/png"), stream=True
    )

    assert [event.type async for event in stream] == ["image_edit.completed"]


@pytest.mark.parametrize("marker", ["stream_error", "moderation", "fail"])
async def test_a_stream_may_end_in_an_error_after_200(official: AsyncOpenAI, marker: str) -> None:
    stream = await official.images.generate(
        model="gpt-image-2", prompt=f"no end [sim:{marker}]", stream=True, partial_images=1
    )
    first = await anext(stream)

    assert first.type == "image_generation.partial_image"
    with pytest.raises(openai.APIError):
        await anext(stream)


async def test_a_stream_may_break_after_a_partial_image(official: AsyncOpenAI, simulator: Client) -> None:
    prompt = "cut off [sim:lost_answer]"
    stream = await official.images.generate(model="gpt-image-2", prompt=prompt, stream=True, partial_images=1)
    first = await anext(stream)

    assert first.type == "image_generation.partial_image"
    with pytest.raises(openai.APIError):
        await anext(stream)
    assert (await log_entry(simulator, prompt, "answer_lost"))["by"] == "fault"


async def test_each_partial_image_is_a_hundred_tokens(official: AsyncOpenAI) -> None:
    async def tokens(partial_images: int) -> int:
        stream = await official.images.generate(
            model="gpt-image-2", prompt="counted", stream=True, partial_images=partial_images, quality="low"
        )
        [*_, last] = [event async for event in stream]
        assert last.type == "image_generation.completed"
        return last.usage.output_tokens

    assert await tokens(3) == await tokens(0) + 300


async def test_moderations_flag_markers_and_words(official: AsyncOpenAI) -> None:
    answer = await official.moderations.create(
        model="omni-moderation-latest", input=["a meadow", "a scene of MURDER", "odd [sim:flag=sexual]"]
    )

    assert [result.flagged for result in answer.results] == [False, True, True]
    assert (answer.results[1].categories.violence, answer.results[1].categories.sexual) == (True, False)
    assert answer.results[2].category_scores.sexual > 0.9


async def test_moderations_take_images_with_their_text(official: AsyncOpenAI) -> None:
    parts: list[ModerationTextInputParam | ModerationImageURLInputParam] = [
        {"type": "text", "text": "look [sim:flag]"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    answer = await official.moderations.create(
        model="omni-moderation-latest",
        input=parts,
    )

    (result,) = answer.results
    assert (result.flagged, result.category_applied_input_types.violence) == (True, ["text", "image"])
    assert result.category_applied_input_types.hate == ["text"]


async def test_a_moderation_check_can_fail(official: AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await official.moderations.create(input="unlucky [sim:check_error=503]")

    assert caught.value.status_code == 503
