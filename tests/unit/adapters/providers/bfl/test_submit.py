"""A submit to BFL: what is sent, and whether each response is an acceptance."""

from base64 import b64decode
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from adapters.providers.bfl.webhooks import webhook_secret
from domain.errors import (
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ServiceError,
    SubmitAmbiguous,
)
from domain.provider import LocalInputFile, ProviderCost, ProviderJob, Submission
from tests.unit.adapters.providers.bfl.requests import (
    API,
    JOB,
    JOB_ID,
    KEY,
    KEYRING,
    REGION,
    REQUEST,
    SUBMISSION,
    asking,
    bfl_answering,
    bfl_on,
)
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse, body_of
from tests.unit.adapters.providers.pictures import picture
from tests.unit.adapters.providers.recorded import recorded

THREE = ProviderCost(Decimal("3.0"), "bfl_credit")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def sent(submission: Submission) -> dict[str, Any]:
    wire = MockHttp(recorded("bfl", "submitted"))
    await bfl_on(wire.http).submit(submission)
    return body_of(wire.requests[0])


async def test_a_submit_sends_everything_and_the_response_has_the_polling_address_and_the_cost() -> None:
    wire = MockHttp(recorded("bfl", "submitted"))
    job = await bfl_on(wire.http).submit(SUBMISSION)

    (request,) = wire.requests
    assert job == replace(JOB, cost=THREE)
    assert (request.method, str(request.url)) == ("POST", f"{API}/v1/flux-2-pro")
    assert request.headers["x-key"] == KEY
    assert body_of(request) == {
        "prompt": "a fox",
        "width": 1024,
        "height": 768,
        "output_format": "jpeg",
        "seed": 7,
    }


async def test_with_a_master_key_a_webhook_with_its_own_secret_is_requested() -> None:
    wire = MockHttp(recorded("bfl", "submitted with a webhook"))
    job = await bfl_on(wire.http, KEYRING).submit(SUBMISSION)

    body = body_of(wire.requests[0])
    assert body["webhook_url"] == SUBMISSION.webhook_url
    assert body["webhook_secret"] == webhook_secret(KEYRING.current, SUBMISSION.attempt)
    assert KEYRING.current.secret not in body["webhook_secret"]
    assert job == ProviderJob(JOB_ID, {}, THREE)


async def test_each_attempt_has_another_secret() -> None:
    attempts = [replace(SUBMISSION.attempt, generation_id=name, ordinal=n) for name in "ab" for n in (1, 2)]

    assert len({webhook_secret(KEYRING.current, attempt) for attempt in attempts}) == 4


async def test_a_task_without_an_address_is_polled_by_its_id() -> None:
    wire = MockHttp(recorded("bfl", "pending"))
    await bfl_on(wire.http).poll_job(REQUEST, ProviderJob("a&b c", {}))

    (request,) = wire.requests
    assert (request.url.path, dict(request.url.params)) == ("/v1/get_result", {"id": "a&b c"})


async def test_options_have_the_models_own_names_and_replace_no_parameter() -> None:
    body = await sent(asking(options={"guidance": 5, "safety_tolerance": 2, "prompt": "another"}))

    assert body == {"prompt": "a fox", "guidance": 5, "safety_tolerance": 2}


async def test_a_shape_is_sent_where_there_is_no_size() -> None:
    body = await sent(asking("flux-kontext-pro", size="auto", aspect_ratio="21:9"))

    assert body == {"prompt": "a fox", "aspect_ratio": "21:9"}


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("flux-2-pro", ["input_image", "input_image_2", "input_image_3"]),
        ("flux-kontext-max", ["input_image", "input_image_2", "input_image_3"]),
        ("flux-pro-1.1", ["image_prompt"]),
    ],
)
async def test_images_go_in_base64_under_the_models_names(
    endpoint: str, fields: list[str], tmp_path: Path
) -> None:
    images = tuple(picture(tmp_path, b"fox") for _ in fields)
    body = await sent(replace(asking(endpoint), images=images))

    assert {name: body[name] for name in body if name != "prompt"} == dict.fromkeys(fields, "Zm94")


@pytest.mark.parametrize(("mode", "ink"), [("RGBA", (255, 255, 255)), ("RGBA", (0, 0, 0)), ("LA", (255,))])
async def test_a_mask_is_sent_with_the_image_and_white_where_ours_is_transparent(
    mode: str, ink: tuple[int, ...], tmp_path: Path
) -> None:
    mask = Image.new(mode, (3, 1), (*ink, 255))
    mask.putpixel((1, 0), (*ink, 0))
    mask.putpixel((2, 0), (*ink, 155))
    path = tmp_path / "mask.png"
    mask.save(path)
    submission = replace(
        asking("flux-pro-1.0-fill"),
        images=(picture(tmp_path, b"fox"),),
        mask=LocalInputFile(path, "image/png", 3, 1),
    )
    before = names_in(tmp_path)
    body = await sent(submission)

    with Image.open(BytesIO(b64decode(body.pop("mask")))) as shown:
        assert (shown.format, shown.mode, list(shown.tobytes())) == ("PNG", "L", [0, 255, 100])
    assert body == {"prompt": "a fox", "image": "Zm94"}
    assert names_in(tmp_path) == before


@pytest.mark.parametrize(
    "url",
    [
        "https://api.bfl.ai/x",
        "https://api.us1.bfl.ai/x",
        "https://bfl.ai/x",
        "http://127.0.0.1:4100/v1/get_result?id=1",
    ],
)
async def test_an_address_of_bfls_may_have_our_key(url: str) -> None:
    answer = httpx.Response(200, json={"id": JOB_ID, "polling_url": url})

    assert (await bfl_answering(answer).submit(SUBMISSION)).urls == {"polling": url}


@pytest.mark.parametrize(
    "url",
    [
        None,
        5,
        "",
        "https://elsewhere.test/x",
        "https://bfl.ai.elsewhere.test/x",
        "https://evilbfl.ai/x",
        "https://api.bfl.ai@elsewhere.test/x",
        "https://user:password@api.bfl.ai/x",
        "https://elsewhere.test\\@api.bfl.ai/x",
        "http://api.us1.bfl.ai/x",
        "https://api.us1.bfl.ai:8443/x",
        "http://127.0.0.1:4101/x",
        "http://127.0.0.1/x",
        "file:///etc/passwd",
        "//api.bfl.ai/x",
        "https://[::1",
        "https://api.us1.bfl.ai/two words",
        "https://api.us1.bfl.ai/" + "x" * 4000,
    ],
)
async def test_an_address_at_another_host_is_never_polled(url: object) -> None:
    answer = httpx.Response(200, json={"id": JOB_ID, "polling_url": url})
    job = await bfl_answering(answer).submit(SUBMISSION)
    wire = MockHttp(recorded("bfl", "pending"))
    await bfl_on(wire.http).poll_job(REQUEST, job)

    assert job == ProviderJob(JOB_ID, {})
    assert str(wire.requests[0].url) == f"{API}/v1/get_result?id={JOB_ID}"


async def test_a_region_is_polled_at_its_own_address_with_our_key() -> None:
    wire = MockHttp({f"GET {REGION}": recorded("bfl", "pending")})
    await bfl_on(wire.http).poll_job(REQUEST, JOB)

    assert wire.requests[0].headers["x-key"] == KEY


@pytest.mark.parametrize("body", [None, [], {}, {"id": 5.5}, {"id": ""}, {"id": "two words"}])
async def test_an_acceptance_that_cannot_be_read_is_ambiguous(body: object) -> None:
    with pytest.raises(SubmitAmbiguous):
        await bfl_answering(httpx.Response(200, json=body)).submit(SUBMISSION)


@pytest.mark.parametrize("cost", [None, -1, "many", [3]])
async def test_a_cost_that_is_no_amount_is_none(cost: object) -> None:
    answer = httpx.Response(200, json={"id": JOB_ID, "cost": cost})

    assert (await bfl_answering(answer).submit(SUBMISSION)).cost is None


async def test_a_throttled_submit_says_in_its_body_when_to_retry() -> None:
    with pytest.raises(ProviderThrottled) as caught:
        await bfl_answering(recorded("bfl", "throttled")).submit(SUBMISSION)

    assert caught.value.retry_after_seconds == 5


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (recorded("bfl", "invalid"), InvalidInput, "field required"),
        (recorded("bfl", "no credits"), ProviderRefused, "Insufficient credits"),
        (httpx.Response(401, json={"detail": "Not authenticated"}), ProviderRefused, "Not authenticated"),
        (httpx.Response(403, json={"error": "no", "message": "why"}), ProviderRefused, "no why"),
        (httpx.Response(400), ProviderRefused, "400"),
        (httpx.Response(404), ProviderRefused, "404"),
    ],
)
async def test_a_refusal_says_whose_fault_it_is(
    answer: MockResponse, error: type[ServiceError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        await bfl_answering(answer).submit(SUBMISSION)

    assert type(caught.value) is error
