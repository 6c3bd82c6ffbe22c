"""Together AI: what is sent, and how each response is parsed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.providers.together.adapter import TogetherProvider
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ServiceError,
    SubmitAmbiguous,
)
from domain.generation import Undelivered
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, SyncResult
from tests.unit.adapters.providers.inline_image_requests import (
    IN_BASE64,
    KEY,
    NONSENSE,
    PICTURES,
    asking,
    client_on,
    facts,
    wire_answering,
)
from tests.unit.adapters.providers.mock_http import MockHttp, body_of
from tests.unit.adapters.providers.pictures import picture

URL = "https://api.together.test/v1"
MODEL = "black-forest-labs/FLUX.1-schnell"
ANSWER = {
    "id": "call-1",
    "model": MODEL,
    "object": "list",
    "data": [
        {"index": index, "type": "b64_json", "b64_json": image} for index, image in enumerate(IN_BASE64)
    ],
}


def together_on(wire: MockHttp) -> TogetherProvider:
    return TogetherProvider(client_on(wire.http), key=KEY, url=URL)


async def generated(answer: Any, folder: Path) -> SyncResult:
    return await together_on(wire_answering(answer)).generate(asking("together", MODEL, n=3), folder)


async def test_a_request_has_all_parameters(tmp_path: Path) -> None:
    wire = wire_answering(ANSWER)
    submission = asking(
        "together", MODEL, n=3, size="1024x768", seed=7, output_format="png", options={"steps": 4}
    )
    await together_on(wire).generate(submission, tmp_path)

    (request,) = wire.requests
    assert (request.method, str(request.url)) == ("POST", f"{URL}/images/generations")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert body_of(request) == {
        "model": MODEL,
        "prompt": "a fox",
        "n": 3,
        "response_format": "base64",
        "width": 1024,
        "height": 768,
        "seed": 7,
        "output_format": "png",
        "steps": 4,
    }


@pytest.mark.parametrize(
    ("count", "field", "sent"),
    [
        (1, "image_url", "data:image/png;base64,cGljdHVyZQ=="),
        (2, "reference_images", ["data:image/png;base64,cGljdHVyZQ=="] * 2),
    ],
)
async def test_images_are_sent_inside_the_request(
    tmp_path: Path, count: int, field: str, sent: object
) -> None:
    wire = wire_answering(ANSWER)
    images = tuple(picture(tmp_path) for _ in range(count))
    await together_on(wire).generate(replace(asking("together", size="auto"), images=images), tmp_path)

    body = body_of(wire.requests[0])
    assert body[field] == sent
    assert "width" not in body


async def test_the_images_come_in_order(tmp_path: Path) -> None:
    answer = await generated(ANSWER, tmp_path)

    assert (answer.job_id, answer.result.status) == ("call-1", JobStatus.SUCCEEDED)
    assert [path.read_bytes() for path in answer.files] == PICTURES


async def test_fewer_images_than_requested_are_delivered(tmp_path: Path) -> None:
    answer = await generated({"id": "call-1", "data": [{"b64_json": IN_BASE64[0]}, {"url": "x"}]}, tmp_path)

    assert [path.read_bytes() for path in answer.files] == PICTURES[:1]
    assert answer.result.undelivered == (Undelivered(1, "not_delivered"), Undelivered(2, "not_delivered"))


@pytest.mark.parametrize("data", NONSENSE, ids=repr)
async def test_a_response_without_images_failed_and_is_charged(tmp_path: Path, data: object) -> None:
    answer = await generated({"id": data, "data": data}, tmp_path)

    assert (answer.result.status, answer.result.code) == (JobStatus.FAILED, "provider_failed")
    assert answer.result.does_not_charge is False


def error(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


REFUSALS: list[tuple[int, object, type[ServiceError], ModeratedAt | None]] = [
    (400, error("steps must be between 1 and 4"), InvalidInput, None),
    (422, error("no"), InvalidInput, None),
    (422, error("The prompt may contain NSFW content."), ContentRejected, ModeratedAt.INPUT),
    (400, error("no", "nsfw_content"), ContentRejected, ModeratedAt.INPUT),
    (422, error("The image was blocked by the safety checker."), ContentRejected, ModeratedAt.OUTPUT),
    (403, error("Image generation refused: NSFW prompt"), ContentRejected, ModeratedAt.INPUT),
    (401, error("Invalid API key"), ProviderRefused, None),
    (402, error("no credit"), ProviderRefused, None),
    (403, None, ProviderRefused, None),
    (408, None, SubmitAmbiguous, None),
    (429, error("slow down, for the safety of all"), ProviderThrottled, None),
    (500, error("nsfw"), SubmitAmbiguous, None),
    (503, error("overloaded"), SubmitAmbiguous, None),
]


@pytest.mark.parametrize(("status", "body", "kind", "detail"), REFUSALS)
async def test_a_refusal_says_whose_fault_it_is(
    tmp_path: Path, status: int, body: object, kind: type[ServiceError], detail: ModeratedAt | None
) -> None:
    with pytest.raises(ServiceError) as caught:
        await generated(httpx.Response(status, json=body), tmp_path)

    assert facts(caught.value) == (kind, detail)


@pytest.mark.parametrize("body", [*NONSENSE, *({"error": each} for each in NONSENSE)], ids=repr)
async def test_a_refusal_of_another_form_goes_by_its_status(tmp_path: Path, body: object) -> None:
    with pytest.raises(ProviderThrottled):
        await generated(httpx.Response(429, json=body), tmp_path)
