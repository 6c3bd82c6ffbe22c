"""The request body for models with more parameters than a prompt, and the responses on fal's own pages."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.provider import JobStatus, ProviderCost, ResultFile, Submission
from tests.unit.adapters.providers.fal.requests import REQUEST, SUBMISSION, fal_on
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse, body_of
from tests.unit.adapters.providers.pictures import picture
from tests.unit.adapters.providers.recorded import recorded

QUEUE = "https://queue.fal.run"
JOB_ADDRESS = f"{QUEUE}/fal-ai/flux/requests/764cabcf-b745-4b3e-ae38-1200304cf45b"


def asking(endpoint: str, **parameters: Any) -> Submission:
    request = replace(REQUEST, endpoint=endpoint, n=1, parameters={"n": 1, **parameters})
    return replace(SUBMISSION, request=request)


async def sent(submission: Submission) -> dict[str, Any]:
    wire = MockHttp(recorded("fal", "submitted"))
    await fal_on(wire.http).submit(submission)
    return body_of(wire.requests[0])


async def test_a_shape_and_a_resolution_go_where_there_is_no_size() -> None:
    body = await sent(asking("fal-ai/nano-banana-2", aspect_ratio="16:9", resolution="2K", size="auto"))

    assert body == {"prompt": "a fox", "num_images": 1, "aspect_ratio": "16:9", "resolution": "2K"}


async def test_options_have_the_models_own_names_and_replace_no_parameter() -> None:
    options = {"guidance_scale": 3.5, "num_inference_steps": 28, "prompt": "another", "num_images": 9}
    body = await sent(asking("fal-ai/flux-2", options=options))

    assert body == {"prompt": "a fox", "num_images": 1, "guidance_scale": 3.5, "num_inference_steps": 28}


async def test_a_model_of_one_image_takes_it_as_an_address_that_is_itself(tmp_path: Path) -> None:
    submission = replace(asking("fal-ai/flux-pro/kontext"), images=(picture(tmp_path, b"fox", "jpeg"),))
    body = await sent(submission)

    assert body == {"prompt": "a fox", "num_images": 1, "image_url": "data:image/jpeg;base64,Zm94"}


async def test_a_model_of_one_image_is_sent_no_other(tmp_path: Path) -> None:
    images = (picture(tmp_path, b"fox"), picture(tmp_path, b"owl"))
    body = await sent(replace(asking("fal-ai/flux-pro/kontext"), images=images))

    assert body == {"prompt": "a fox", "num_images": 1, "image_url": "data:image/png;base64,Zm94"}


async def test_other_models_take_a_list_in_the_clients_order_and_a_mask(tmp_path: Path) -> None:
    images = (picture(tmp_path, b"fox"), picture(tmp_path, b"owl"))
    submission = asking("fal-ai/nano-banana-2/edit")
    body = await sent(replace(submission, images=images, mask=picture(tmp_path, b"mask")))

    assert body["image_urls"] == ["data:image/png;base64,Zm94", "data:image/png;base64,b3ds"]
    assert body["mask_url"] == "data:image/png;base64,bWFzaw=="
    assert "image_url" not in body


async def test_without_a_callback_address_no_webhook_is_requested() -> None:
    wire = MockHttp(recorded("fal", "submitted"))
    await fal_on(wire.http).submit(replace(SUBMISSION, webhook_url=""))

    assert not wire.requests[0].url.query


async def test_a_job_in_fals_own_format_ends_with_its_image() -> None:
    wire = MockHttp(
        {
            f"POST {QUEUE}/fal-ai/flux/schnell": recorded("fal", "submitted"),
            f"GET {JOB_ADDRESS}/status": recorded("fal", "completed"),
            f"GET {JOB_ADDRESS}": recorded("fal", "result"),
        }
    )
    fal, request = fal_on(wire.http, QUEUE), asking("fal-ai/flux/schnell").request
    result = await fal.poll_job(request, await fal.submit(replace(SUBMISSION, request=request)))

    assert result.files == (ResultFile("https://v3b.fal.media/files/b/x.png"),)
    assert (result.undelivered, result.cost) == ((), ProviderCost(Decimal(1), "billable_unit"))


@pytest.mark.parametrize(
    ("status", "answer", "verdict", "code"),
    [
        ("in queue", None, JobStatus.RUNNING, None),
        ("in progress", None, JobStatus.RUNNING, None),
        ("completed with an error", None, JobStatus.FAILED, "provider_failed"),
        ("completed", "policy violation", JobStatus.FAILED, "content_rejected"),
        ("completed", "timed out", JobStatus.FAILED, "provider_failed"),
    ],
)
async def test_every_response_on_fals_pages_is_parsed(
    status: str, answer: str | None, verdict: JobStatus, code: str | None
) -> None:
    answers: dict[str, MockResponse] = {f"GET {JOB_ADDRESS}/status": recorded("fal", status)}
    if answer is not None:
        answers[f"GET {JOB_ADDRESS}"] = recorded("fal", answer)
    answers[f"POST {QUEUE}/fal-ai/flux/schnell"] = recorded("fal", "submitted")
    fal = fal_on(MockHttp(answers).http, QUEUE)
    result = await fal.poll_job(REQUEST, await fal.submit(SUBMISSION))

    assert (result.status, result.code) == (verdict, code)


@pytest.mark.parametrize(("name", "stopped"), [("canceling", True), ("too late", False)])
async def test_a_cancel_in_fals_own_format(name: str, *, stopped: bool) -> None:
    wire = MockHttp(
        {
            f"POST {QUEUE}/fal-ai/flux/schnell": recorded("fal", "submitted"),
            f"PUT {JOB_ADDRESS}/cancel": recorded("fal", name),
        }
    )
    fal = fal_on(wire.http, QUEUE)

    assert await fal.cancel_job(REQUEST, await fal.submit(SUBMISSION)) is stopped
