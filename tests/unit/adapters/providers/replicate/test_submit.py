"""A submit to Replicate: what is sent, and whether each response is an acceptance."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.errors import (
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.provider import ProviderJob, Submission
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse, body_of
from tests.unit.adapters.providers.pictures import picture
from tests.unit.adapters.providers.recorded import recorded, recorded_body
from tests.unit.adapters.providers.replicate.requests import (
    API,
    JOB,
    JOB_ID,
    SUBMISSION,
    TOKEN,
    asking,
    replicate_answering,
    replicate_on,
)


async def sent(submission: Submission) -> dict[str, Any]:
    """Submit; return the `input` that was sent."""
    wire = MockHttp(recorded("replicate", "created"))
    await replicate_on(wire.http).submit(submission)
    fields: dict[str, Any] = body_of(wire.requests[0])["input"]
    return fields


async def test_a_submit_says_everything_and_does_not_wait() -> None:
    wire = MockHttp(recorded("replicate", "created"))
    job = await replicate_on(wire.http).submit(SUBMISSION)

    (request,) = wire.requests
    assert job == JOB
    assert (request.method, str(request.url)) == ("POST", f"{API}/predictions")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["cancel-after"] == "1800s"
    assert "prefer" not in request.headers
    assert body_of(request) == {
        "version": "black-forest-labs/flux-schnell",
        "input": {
            "prompt": "a fox",
            "num_outputs": 2,
            "aspect_ratio": "16:9",
            "output_format": "jpg",
            "seed": 7,
        },
        "webhook": SUBMISSION.webhook_url,
        "webhook_events_filter": ["completed"],
    }


async def test_without_a_callback_address_no_webhook_is_requested() -> None:
    wire = MockHttp(recorded("replicate", "created"))
    await replicate_on(wire.http).submit(replace(SUBMISSION, webhook_url=""))

    assert body_of(wire.requests[0]).keys() == {"version", "input"}


async def test_one_image_is_not_counted_for_models_that_make_only_one() -> None:
    assert await sent(asking()) == {"prompt": "a fox"}


async def test_options_have_the_models_own_names_and_replace_no_parameter() -> None:
    fields = await sent(asking(options={"guidance": 3.5, "go_fast": True, "prompt": "another"}))

    assert fields == {"prompt": "a fox", "guidance": 3.5, "go_fast": True}


@pytest.mark.parametrize(
    ("endpoint", "extra"),
    [("black-forest-labs/flux-1.1-pro", {"aspect_ratio": "custom"}), ("stability-ai/sdxl", {})],
)
async def test_a_size_is_width_and_height(endpoint: str, extra: dict[str, str]) -> None:
    fields = await sent(asking(endpoint, size="512x768"))

    assert fields == {"prompt": "a fox", "width": 512, "height": 768, **extra}


async def test_a_size_left_to_the_model_is_not_sent() -> None:
    assert await sent(asking(size="auto")) == {"prompt": "a fox"}


@pytest.mark.parametrize(
    ("endpoint", "field", "is_list"),
    [
        ("black-forest-labs/flux-kontext-pro", "input_image", False),
        ("black-forest-labs/flux-1.1-pro", "image_prompt", False),
        ("google/nano-banana:" + "a" * 64, "image_input", True),
        ("somebody/something", "input_image", False),
    ],
)
async def test_a_small_image_goes_as_an_address_that_is_itself(
    endpoint: str, field: str, tmp_path: Path, *, is_list: bool
) -> None:
    fields = await sent(replace(asking(endpoint), images=(picture(tmp_path, b"fox"),)))

    uri = "data:image/png;base64,Zm94"
    assert fields[field] == ([uri] if is_list else uri)


async def test_a_model_of_one_image_is_sent_no_other_and_one_of_several_all(tmp_path: Path) -> None:
    images = (picture(tmp_path, b"fox"), picture(tmp_path, b"owl"))
    one = await sent(replace(asking("black-forest-labs/flux-kontext-pro"), images=images))
    several = await sent(replace(asking("google/nano-banana"), images=images))

    assert one["input_image"] == "data:image/png;base64,Zm94"
    assert several["image_input"] == ["data:image/png;base64,Zm94", "data:image/png;base64,b3ds"]


async def test_a_mask_is_sent_with_the_image(tmp_path: Path) -> None:
    submission = asking("black-forest-labs/flux-fill-pro")
    fields = await sent(
        replace(submission, images=(picture(tmp_path, b"fox"),), mask=picture(tmp_path, b"mask"))
    )

    assert fields["image"] == "data:image/png;base64,Zm94"
    assert fields["mask"] == "data:image/png;base64,bWFzaw=="


async def test_a_large_image_is_uploaded_first(tmp_path: Path) -> None:
    content = b"x" * 256_001
    wire = MockHttp(
        {
            f"POST {API}/files": recorded("replicate", "uploaded"),
            f"POST {API}/predictions": recorded("replicate", "created"),
        }
    )
    submission = replace(asking(), images=(picture(tmp_path, content),))
    await replicate_on(wire.http).submit(submission)

    upload, prediction = wire.requests
    assert b'name="content"' in upload.content
    assert content in upload.content
    assert body_of(prediction)["input"]["input_image"] == f"{API}/files/file-1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ReadTimeout("no"), ProviderUnavailable),
        (httpx.Response(500), ProviderUnavailable),
        (httpx.Response(201, json={}), ProviderUnavailable),
        (httpx.Response(201, json={"urls": {"get": 5}}), ProviderUnavailable),
        (httpx.Response(429), ProviderThrottled),
        (httpx.Response(413), ProviderRefused),
    ],
)
async def test_an_upload_that_fails_leaves_no_prediction(
    answer: MockResponse, error: type[ServiceError], tmp_path: Path
) -> None:
    wire = MockHttp({f"POST {API}/files": answer})
    submission = replace(asking(), images=(picture(tmp_path, b"x" * 256_001),))
    with pytest.raises(error):
        await replicate_on(wire.http).submit(submission)

    assert [request.url.path for request in wire.requests] == ["/v1/files"]


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_every_status_of_an_acceptance_counts(status: int) -> None:
    answer = httpx.Response(status, json=recorded_body("replicate", "created"))

    assert await replicate_answering(answer).submit(SUBMISSION) == JOB


@pytest.mark.parametrize(
    "body", [None, [], {}, {"id": 5.5}, {"id": ""}, {"id": "two words"}, {"id": "x" * 4001}]
)
async def test_an_acceptance_that_cannot_be_read_is_ambiguous(body: object) -> None:
    with pytest.raises(SubmitAmbiguous):
        await replicate_answering(httpx.Response(201, json=body)).submit(SUBMISSION)


async def test_a_throttled_submit_says_in_a_sentence_when_to_retry() -> None:
    with pytest.raises(ProviderThrottled) as caught:
        await replicate_answering(recorded("replicate", "throttled")).submit(SUBMISSION)

    assert caught.value.retry_after_seconds == 30


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (recorded("replicate", "unauthenticated"), ProviderRefused),
        (recorded("replicate", "invalid input"), InvalidInput),
        (httpx.Response(422, json={"title": "Invalid version or not permitted"}), ProviderRefused),
        (httpx.Response(422), InvalidInput),
        (httpx.Response(402), ProviderRefused),
        (httpx.Response(404), ProviderRefused),
    ],
)
async def test_a_refusal_says_whose_fault_it_is(answer: MockResponse, error: type[ServiceError]) -> None:
    with pytest.raises(error) as caught:
        await replicate_answering(answer).submit(SUBMISSION)

    assert type(caught.value) is error


@pytest.mark.parametrize(
    "urls",
    [
        None,
        "https://api.replicate.com/x",
        {"get": None, "cancel": 5},
        {"get": "https://elsewhere.test/x", "cancel": "http://api.replicate.com/x"},
        {"get": "https://api.replicate.com@elsewhere.test/x", "cancel": "https://[::1"},
    ],
)
async def test_an_address_that_is_not_replicates_is_never_used(urls: object) -> None:
    answer = httpx.Response(201, json={"id": JOB_ID, "urls": urls})
    job = await replicate_answering(answer).submit(SUBMISSION)
    wire = MockHttp(recorded("replicate", "processing"))
    await replicate_on(wire.http).poll_job(SUBMISSION.request, job)
    await replicate_on(wire.http).cancel_job(SUBMISSION.request, job)

    assert job == ProviderJob(JOB_ID, {})
    assert [str(request.url) for request in wire.requests] == list(JOB.urls.values())
