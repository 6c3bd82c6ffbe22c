"""The official google-genai client, unchanged except for its base URL."""

from collections.abc import AsyncIterator

import pytest
from google import genai
from google.genai import errors, types
from google.genai.client import AsyncClient

from simulator.core.images.render import input_boxes
from tests.simulator.pictures import colour_at, is_near, opened, plain, sha256
from tests.simulator.process import KEY, Client
from tests.simulator.synchronous import log_entry, running

FLASH, PRO, OLD = "gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-2.5-flash-image"
RED, BLUE = (230, 20, 20), (20, 20, 230)


@pytest.fixture(scope="module")
async def simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    headers = {"x-goog-api-key": KEY}
    async with running("gemini", tmp_path_factory.mktemp("gemini"), headers) as client:
        yield client


@pytest.fixture(scope="module")
async def official(simulator: Client) -> AsyncIterator[AsyncClient]:
    options = types.HttpOptions(base_url=str(simulator.http.base_url))
    async with genai.Client(api_key=KEY, http_options=options).aio as client:
        yield client


def _parts(answer: types.GenerateContentResponse) -> list[types.Part]:
    candidate = (answer.candidates or [])[0]
    assert candidate.content is not None
    return candidate.content.parts or []


def _pictures(answer: types.GenerateContentResponse, *, thought: bool = False) -> list[bytes]:
    return [
        part.inline_data.data
        for part in _parts(answer)
        if bool(part.thought) is thought and part.inline_data and part.inline_data.data
    ]


@pytest.mark.parametrize(
    ("model", "ratio", "image_size", "pixels"),
    [
        (FLASH, None, None, (1024, 1024)),
        (FLASH, "16:9", "512", (688, 384)),
        (FLASH, "1:8", "1K", (384, 3072)),
        (PRO, "16:9", "2K", (2752, 1536)),
        (PRO, "1:1", "4K", (4096, 4096)),
        (OLD, "4:3", None, (1184, 864)),
    ],
)
async def test_a_picture_has_the_shape_and_size_asked(
    official: AsyncClient, model: str, ratio: str | None, image_size: str | None, pixels: tuple[int, int]
) -> None:
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"],
        image_config=types.ImageConfig(aspect_ratio=ratio, image_size=image_size),
    )
    answer = await official.models.generate_content(model=model, contents="a harbour", config=config)

    (picture,) = _pictures(answer)
    assert opened(picture).size == pixels
    assert (answer.model_version, answer.response_id is not None) == (model, True)


async def test_several_references_are_all_in_the_picture(official: AsyncClient, simulator: Client) -> None:
    first, second = plain(RED), plain(BLUE, (40, 40), "webp")
    parts = [
        types.Part.from_text(text="put them side by side"),
        types.Part.from_bytes(data=first, mime_type="image/png"),
        types.Part.from_bytes(data=second, mime_type="image/webp"),
    ]
    content = types.Content(role="user", parts=parts)
    answer = await official.models.generate_content(model=FLASH, contents=content)

    image = opened(_pictures(answer)[0])
    left, right = input_boxes(image.size, 2)
    assert is_near(colour_at(image, left), RED)
    assert is_near(colour_at(image, right), BLUE)
    accepted = await log_entry(simulator, "put them side by side", "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(first), sha256(second)]


async def test_an_edit_keeps_the_shape_of_its_input(official: AsyncClient) -> None:
    wide = types.Part.from_bytes(data=plain(RED, (160, 90)), mime_type="image/png")
    content = types.Content(role="user", parts=[types.Part.from_text(text="brighter"), wide])
    answer = await official.models.generate_content(model=FLASH, contents=content)

    assert opened(_pictures(answer)[0]).size == (1376, 768)


async def test_the_pro_model_thinks_in_pictures_before_the_one_that_counts(official: AsyncClient) -> None:
    answer = await official.models.generate_content(model=PRO, contents="carefully")

    kinds = [(bool(part.thought), part.inline_data is not None) for part in _parts(answer)]
    assert kinds == [(True, False), (True, True)] * 2 + [(False, False), (False, True)]
    final, drafts = _pictures(answer), _pictures(answer, thought=True)
    assert (len(final), len(drafts), final[0] in drafts) == (1, 2, False)
    assert _parts(answer)[-1].thought_signature
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata.thoughts_token_count or 0) > 0


@pytest.mark.parametrize(
    ("model", "marker", "drafts"),
    [(FLASH, "", 0), (FLASH, "[sim:thoughts=3]", 3), (PRO, "[sim:thoughts=0]", 0)],
)
async def test_a_fault_decides_how_many_drafts_there_are(
    official: AsyncClient, model: str, marker: str, drafts: int
) -> None:
    answer = await official.models.generate_content(model=model, contents=f"thinking {marker}")

    assert len(_pictures(answer, thought=True)) == drafts
    assert len(_pictures(answer)) == 1


@pytest.mark.parametrize("reason", ["PROHIBITED_CONTENT", "SAFETY", "BLOCKLIST", "OTHER", "IMAGE_SAFETY"])
async def test_a_blocked_prompt_has_a_reason_and_no_candidates(
    official: AsyncClient, simulator: Client, reason: str
) -> None:
    prompt = f"improper [sim:reject={reason}]"
    answer = await official.models.generate_content(model=FLASH, contents=prompt)

    assert answer.candidates is None
    assert answer.prompt_feedback is not None
    assert answer.prompt_feedback.block_reason == types.BlockedReason(reason)
    assert (await log_entry(simulator, prompt, "submit_rejected"))["status"] == 200


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        ("moderation", "IMAGE_SAFETY"),
        ("finish_reason", "NO_IMAGE"),
        *[(f"finish_reason={reason}", reason) for reason in types.FinishReason.__members__],
    ],
)
async def test_each_finish_reason_comes_without_a_picture(
    official: AsyncClient, simulator: Client, marker: str, reason: str
) -> None:
    prompt = f"stops short [sim:{marker}]"
    answer = await official.models.generate_content(model=FLASH, contents=prompt)

    (candidate,) = answer.candidates or []
    assert candidate.finish_reason == types.FinishReason(reason)
    assert not answer.parts
    assert (await log_entry(simulator, prompt, "generation_done"))["charged"] is False


async def test_a_response_may_be_text_only(official: AsyncClient) -> None:
    answer = await official.models.generate_content(model=FLASH, contents="in words [sim:text_only]")

    assert (_pictures(answer), bool(answer.text)) == ([], True)
    assert (answer.candidates or [])[0].finish_reason == types.FinishReason.STOP


async def test_more_than_one_candidate_is_refused(official: AsyncClient) -> None:
    config = types.GenerateContentConfig(candidate_count=2)
    with pytest.raises(errors.ClientError) as caught:
        await official.models.generate_content(model=FLASH, contents="twins", config=config)

    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("marker", "kind", "code", "status"),
    [
        ("submit_429=17", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("submit_500", errors.ServerError, 500, "INTERNAL"),
        ("submit_503", errors.ServerError, 503, "UNAVAILABLE"),
        ("fail", errors.ServerError, 500, "INTERNAL"),
        ("invalid_key", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ("invalid_key=403", errors.ClientError, 403, "PERMISSION_DENIED"),
    ],
)
async def test_errors_have_their_class_and_are_asked_for_once(
    official: AsyncClient, simulator: Client, marker: str, kind: type[errors.APIError], code: int, status: str
) -> None:
    prompt = f"in vain [sim:{marker}]"
    with pytest.raises(kind) as caught:
        await official.models.generate_content(model=FLASH, contents=prompt)

    assert (caught.value.code, caught.value.status) == (code, status)
    fate = "generation_done" if marker == "fail" else "submit_rejected"
    await log_entry(simulator, prompt, fate)


async def test_a_client_that_waits_for_retry_after_is_accepted(simulator: Client) -> None:
    retry = types.HttpRetryOptions(attempts=2, initial_delay=0.01)
    options = types.HttpOptions(base_url=str(simulator.http.base_url), retry_options=retry)
    async with genai.Client(api_key=KEY, http_options=options).aio as official:
        answer = await official.models.generate_content(model=FLASH, contents="again [sim:submit_503]")

    assert len(_pictures(answer)) == 1
