"""OpenAI: what is sent, and how each response is parsed."""

from dataclasses import replace
from decimal import Decimal
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.providers.openai.adapter import OpenAiProvider
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.generation import Undelivered
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ProviderCost, Submission, SyncResult
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

URL = "https://api.openai.test/v1"
ANSWER = {
    "created": 1713833628,
    "size": "1024x1024",
    "data": [{"b64_json": image} for image in IN_BASE64],
    "usage": {"total_tokens": 4160, "input_tokens": 50, "output_tokens": 4110},
}


def openai_on(wire: MockHttp) -> OpenAiProvider:
    return OpenAiProvider(client_on(wire.http), key=KEY, url=URL)


async def generated(answer: Any, folder: Path, submission: Submission | None = None) -> SyncResult:
    provider = openai_on(wire_answering(answer))
    return await provider.generate(submission or asking("openai", n=3), folder)


async def test_a_generation_has_all_parameters_and_never_a_response_format(tmp_path: Path) -> None:
    wire = wire_answering(ANSWER)
    submission = asking(
        "openai",
        "gpt-image-2",
        n=3,
        size="1536x1024",
        quality="high",
        background="transparent",
        output_format="webp",
        options={"output_compression": 80, "moderation": "low"},
    )
    await openai_on(wire).generate(submission, tmp_path)

    (request,) = wire.requests
    assert (request.method, str(request.url)) == ("POST", f"{URL}/images/generations")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert body_of(request) == {
        "model": "gpt-image-2",
        "prompt": "a fox",
        "n": 3,
        "size": "1536x1024",
        "quality": "high",
        "background": "transparent",
        "output_format": "webp",
        "output_compression": 80,
        "moderation": "low",
    }


async def test_what_is_not_given_is_not_sent(tmp_path: Path) -> None:
    wire = wire_answering(ANSWER)
    await openai_on(wire).generate(asking("openai", "gpt-image-1-mini"), tmp_path)

    assert body_of(wire.requests[0]) == {"model": "gpt-image-1-mini", "prompt": "a fox", "n": 1}


def parts_of(request: httpx.Request) -> list[Message]:
    """Parse a form with the standard library's mail package, which is independent of our code."""
    content_type = request.headers["content-type"].encode()
    form = message_from_bytes(b"Content-Type: " + content_type + b"\r\n\r\n" + request.content)
    assert not form.defects
    return [part for part in form.walk() if not part.is_multipart()]


async def test_an_edit_is_a_form_with_the_images_in_order_and_the_mask(tmp_path: Path) -> None:
    wire = wire_answering(ANSWER)
    contents = [b"one\r\n--two", bytes(range(256)) * 1000, b""]
    kinds = ["png", "jpeg", "webp"]
    images = tuple(picture(tmp_path, content, kind) for content, kind in zip(contents, kinds, strict=True))
    mask = picture(tmp_path, b"the mask")
    submission = asking("openai", prompt='a "fox"\r\nnäive', size="auto", options={"input_fidelity": "high"})
    await openai_on(wire).generate(replace(submission, images=images, mask=mask), tmp_path)

    (request,) = wire.requests
    parts = parts_of(request)
    named = [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
        for part in parts
    ]
    assert str(request.url) == f"{URL}/images/edits"
    assert int(request.headers["content-length"]) == len(request.content)
    assert "transfer-encoding" not in request.headers
    assert named == [
        ("model", b"model-1"),
        ("prompt", 'a "fox"\r\nnäive'.encode()),
        ("n", b"1"),
        ("size", b"auto"),
        ("input_fidelity", b"high"),
        *(("image[]", content) for content in contents),
        ("mask", b"the mask"),
    ]
    assert [part.get_content_type() for part in parts[5:]] == [
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/png",
    ]
    assert all(part.get_filename() for part in parts[5:])


async def test_the_images_come_in_order_with_what_they_cost(tmp_path: Path) -> None:
    answer = await generated(httpx.Response(200, json=ANSWER, headers={"x-request-id": "req_1"}), tmp_path)

    assert (answer.job_id, answer.result.status) == ("req_1", JobStatus.SUCCEEDED)
    assert [path.read_bytes() for path in answer.files] == PICTURES
    assert answer.result.cost == ProviderCost(Decimal(4160), "token")


async def test_fewer_images_than_requested_are_delivered(tmp_path: Path) -> None:
    answer = await generated(ANSWER | {"data": ANSWER["data"][:2]}, tmp_path)  # type: ignore[index]

    assert answer.result.status is JobStatus.SUCCEEDED
    assert answer.result.undelivered == (Undelivered(2, "not_delivered"),)


@pytest.mark.parametrize("data", NONSENSE, ids=repr)
async def test_a_response_without_images_failed_and_is_charged(tmp_path: Path, data: object) -> None:
    answer = await generated(ANSWER | {"data": data}, tmp_path)

    assert (answer.result.status, answer.result.code) == (JobStatus.FAILED, "provider_failed")
    assert (answer.result.does_not_charge, answer.result.cost) == (
        False,
        ProviderCost(Decimal(4160), "token"),
    )


@pytest.mark.parametrize(
    "usage", [*NONSENSE, *({"total_tokens": each} for each in NONSENSE if each != 7)], ids=repr
)
async def test_a_cost_that_cannot_be_read_is_left_out(tmp_path: Path, usage: object) -> None:
    answer = await generated(ANSWER | {"usage": usage}, tmp_path)

    assert (answer.result.status, answer.result.cost) == (JobStatus.SUCCEEDED, None)


def error(code: str | None, kind: str = "invalid_request_error", **more: Any) -> dict[str, Any]:
    return {"error": {"message": "no", "type": kind, "param": None, "code": code, **more}}


def moderated(stage: object) -> dict[str, Any]:
    details = {"moderation_stage": stage, "categories": ["violence"]}
    return error("moderation_blocked", "image_generation_user_error", moderation_details=details)


REFUSALS: list[tuple[int, object, type[ServiceError], ModeratedAt | None]] = [
    (400, moderated("input"), ContentRejected, ModeratedAt.INPUT),
    (400, moderated("output"), ContentRejected, ModeratedAt.OUTPUT),
    (400, moderated("unknown"), ContentRejected, ModeratedAt.INPUT),
    (400, moderated(["output"]), ContentRejected, ModeratedAt.INPUT),
    (400, error("moderation_blocked", moderation_details="output"), ContentRejected, ModeratedAt.INPUT),
    (400, error("content_policy_violation"), ContentRejected, ModeratedAt.INPUT),
    (400, error("invalid_value"), InvalidInput, None),
    (400, error(None), InvalidInput, None),
    (400, error("billing_hard_limit_reached"), ProviderRefused, None),
    (400, error("else", "image_generation_user_error"), InvalidInput, None),
    (400, error("invalid_image_file", "image_generation_user_error"), InvalidInput, None),
    (400, error("of a new kind", "of_a_new_type"), InvalidInput, None),
    (401, error("invalid_api_key"), ProviderRefused, None),
    (403, error(None), ProviderRefused, None),
    (404, error("model_not_found"), ProviderRefused, None),
    (413, None, ProviderRefused, None),
    (408, error(None), SubmitAmbiguous, None),
    (429, error("rate_limit_exceeded", "requests"), ProviderThrottled, None),
    (429, None, ProviderThrottled, None),
    (429, error("insufficient_quota", "insufficient_quota"), ProviderRefused, None),
    (429, error(None, "insufficient_quota"), ProviderRefused, None),
    (429, error("credit_balance_exhausted"), ProviderRefused, None),
    (500, error("image_generation_failed", "server_error"), SubmitAmbiguous, None),
    (500, error("moderation_blocked"), SubmitAmbiguous, None),
    (502, None, SubmitAmbiguous, None),
    (503, error("server_is_overloaded", "service_unavailable_error"), ProviderUnavailable, None),
    (503, None, SubmitAmbiguous, None),
    (504, None, SubmitAmbiguous, None),
]


@pytest.mark.parametrize(("status", "body", "kind", "detail"), REFUSALS)
async def test_a_refusal_says_whose_fault_it_is(
    tmp_path: Path, status: int, body: object, kind: type[ServiceError], detail: ModeratedAt | None
) -> None:
    with pytest.raises(ServiceError) as caught:
        await generated(httpx.Response(status, json=body), tmp_path)

    assert facts(caught.value) == (kind, detail)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error("rate_limit_exceeded"), ProviderThrottled),
        (503, error("server_is_overloaded"), ProviderUnavailable),
    ],
)
async def test_a_requested_pause_is_reported(
    tmp_path: Path, status: int, body: object, kind: type[ServiceError]
) -> None:
    with pytest.raises(ServiceError) as caught:
        await generated(httpx.Response(status, json=body, headers={"Retry-After": "17"}), tmp_path)

    assert facts(caught.value) == (kind, 17)


@pytest.mark.parametrize("body", [*NONSENSE, *({"error": each} for each in NONSENSE)], ids=repr)
@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidInput), (429, ProviderThrottled), (500, SubmitAmbiguous)]
)
async def test_a_refusal_of_another_form_goes_by_its_status(
    tmp_path: Path, status: int, kind: type[ServiceError], body: object
) -> None:
    with pytest.raises(kind):
        await generated(httpx.Response(status, json=body), tmp_path)


async def test_the_providers_message_and_id_are_stored_and_our_key_is_not(tmp_path: Path) -> None:
    words = "Rejected.\0 safety_violations=[violence]. " + "x" * 5000
    body = error("moderation_blocked") | {"request_id": "req_1"}
    body["error"]["message"] = words
    response = httpx.Response(400, json=body, headers={"x-request-id": "req_1"})
    with pytest.raises(ContentRejected) as caught:
        await generated(response, tmp_path)

    kept = str(caught.value)
    assert kept.startswith("openai: 400 moderation_blocked (req_1): Rejected. safety_violations=[violence].")
    assert len(kept) <= 2000
    assert KEY not in kept
