"""Gemini: what is sent, and how each response is parsed."""

import base64
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.providers.gemini.adapter import GeminiProvider
from domain.errors import (
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)
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

URL = "https://gemini.test/v1beta"
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 1290, "totalTokenCount": 1299}
RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def inline(image: str, **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": image}, **more}


def answering(*parts: object, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate = {"index": 0, "content": {"role": "model", "parts": list(parts)}, "finishReason": reason}
    return {"candidates": [candidate], "usageMetadata": USAGE, "responseId": "answer-1", **more}


def gemini_on(wire: MockHttp) -> GeminiProvider:
    return GeminiProvider(client_on(wire.http), key=KEY, url=URL)


async def generated(answer: Any, folder: Path, submission: Submission | None = None) -> SyncResult:
    provider = gemini_on(wire_answering(answer))
    return await provider.generate(submission or asking("gemini"), folder)


async def test_a_prompt_is_sent_with_the_requested_format(tmp_path: Path) -> None:
    wire = wire_answering(answering(inline(IN_BASE64[0])))
    submission = asking(
        "gemini",
        "gemini-3-pro-image",
        aspect_ratio="16:9",
        resolution="2K",
        seed=7,
        options={"temperature": 0.5},
    )
    await gemini_on(wire).generate(submission, tmp_path)

    (request,) = wire.requests
    assert (request.method, str(request.url)) == ("POST", f"{URL}/models/gemini-3-pro-image:generateContent")
    assert request.headers["x-goog-api-key"] == KEY
    assert KEY not in str(request.url)
    assert int(request.headers["content-length"]) == len(request.content)
    assert body_of(request) == {
        "contents": [{"role": "user", "parts": [{"text": "a fox"}]}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "temperature": 0.5,
            "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
            "seed": 7,
        },
    }


async def test_the_images_follow_the_text_in_their_order(tmp_path: Path) -> None:
    wire = wire_answering(answering(inline(IN_BASE64[0])))
    contents = [b"", b"1", b"22", b"333", bytes(range(256)) * 2000]
    images = tuple(picture(tmp_path, content, "webp") for content in contents)
    prompt = 'image-0 "fox" 🦊'
    await gemini_on(wire).generate(replace(asking("gemini", prompt=prompt), images=images), tmp_path)

    (request,) = wire.requests
    text, *pictures = body_of(request)["contents"][0]["parts"]
    assert text == {"text": prompt}
    assert [base64.b64decode(part["inlineData"]["data"], validate=True) for part in pictures] == contents
    assert {part["inlineData"]["mimeType"] for part in pictures} == {"image/webp"}
    assert "imageConfig" not in body_of(request)["generationConfig"]
    assert int(request.headers["content-length"]) == len(request.content)


PARTS: dict[str, list[object]] = {
    "the only one": [inline(IN_BASE64[0])],
    "after a text": [{"text": "Here it is."}, inline(IN_BASE64[0])],
    "after thoughts": [
        {"text": "…", "thought": True},
        inline(IN_BASE64[1], thought=True),
        inline(IN_BASE64[0]),
    ],
    "before a thought": [inline(IN_BASE64[0]), inline(IN_BASE64[1], thought=True)],
    "the last of several": [inline(IN_BASE64[2]), inline(IN_BASE64[1]), inline(IN_BASE64[0])],
    "signed": [inline(IN_BASE64[0], thoughtSignature="c2ln", thought=False)],
    "in snake case": [{"inline_data": {"mime_type": "image/png", "data": IN_BASE64[0]}}],
    "among nonsense": [None, 7, {"inlineData": None}, {"inlineData": {"data": 5}}, inline(IN_BASE64[0]), []],
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
async def test_the_last_image_that_is_no_thought_is_the_image(tmp_path: Path, parts: list[object]) -> None:
    answer = await generated(answering(*parts), tmp_path)

    assert (answer.job_id, answer.result.status) == ("answer-1", JobStatus.SUCCEEDED)
    assert [path.read_bytes() for path in answer.files] == [PICTURES[0]]
    assert answer.result.cost == ProviderCost(Decimal(1299), "token")


async def test_a_response_in_snake_case_is_parsed(tmp_path: Path) -> None:
    body = {
        "candidates": [{"content": {"parts": [inline(IN_BASE64[0])]}, "finish_reason": "STOP"}],
        "usage_metadata": {"total_token_count": 12},
        "response_id": "answer-2",
    }
    answer = await generated(body, tmp_path)

    assert (answer.job_id, answer.result.cost) == ("answer-2", ProviderCost(Decimal(12), "token"))


@pytest.mark.parametrize("reason", ["STOP", None, "MAX_TOKENS", "NEW_REASON"])
async def test_an_image_counts_whatever_ended_the_text(tmp_path: Path, reason: str | None) -> None:
    answer = await generated(answering(inline(IN_BASE64[0]), reason=reason), tmp_path)
    assert answer.result.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    "reason",
    ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "JAILBREAK", "NEW", ["odd"]],
)
@pytest.mark.parametrize(
    ("feedback", "name"), [("promptFeedback", "blockReason"), ("prompt_feedback", "block_reason")]
)
async def test_a_blocked_prompt_is_the_requests_fault(
    tmp_path: Path, feedback: str, name: str, reason: object
) -> None:
    body = {feedback: {name: reason}, "usageMetadata": USAGE, "responseId": "answer-1"}
    answer = await generated(body, tmp_path)

    assert (answer.result.code, answer.result.moderated_at) == ("content_rejected", ModeratedAt.INPUT)
    assert str(reason) in str(answer.result.provider_message)
    assert (answer.job_id, answer.files) == ("answer-1", ())


async def test_no_reason_to_block_is_none(tmp_path: Path) -> None:
    feedback = {"blockReason": "BLOCK_REASON_UNSPECIFIED", "safetyRatings": []}
    answer = await generated(answering(inline(IN_BASE64[0]), promptFeedback=feedback), tmp_path)
    assert answer.result.status is JobStatus.SUCCEEDED


REFUSED = [
    *("SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "RECITATION"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
]


@pytest.mark.parametrize("parts", [[], [{"text": "I cannot."}], [inline(IN_BASE64[0])]])
@pytest.mark.parametrize("reason", REFUSED)
async def test_an_image_that_was_refused_is_not_delivered(
    tmp_path: Path, reason: str, parts: list[object]
) -> None:
    answer = await generated(answering(*parts, reason=reason), tmp_path)

    assert (answer.result.code, answer.result.moderated_at) == ("content_rejected", ModeratedAt.OUTPUT)
    assert (answer.result.does_not_charge, answer.files) == (False, ())
    assert reason in str(answer.result.provider_message)


@pytest.mark.parametrize(
    "reason", ["STOP", "NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS", "LANGUAGE", "NEW_REASON", None]
)
async def test_text_without_an_image_failed_and_is_charged(tmp_path: Path, reason: str | None) -> None:
    parts = [{"text": "I would rather\0 describe it."}, inline(IN_BASE64[0], thought=True)]
    answer = await generated(answering(*parts, reason=reason), tmp_path)

    assert (answer.result.code, answer.result.does_not_charge) == ("provider_failed", False)
    assert answer.result.provider_message == f"gemini: finishReason {reason}  I would rather describe it."
    assert answer.result.cost == ProviderCost(Decimal(1299), "token")


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@pytest.mark.parametrize(
    "place", ["candidates", "candidate", "content", "parts", "part", "inlineData", "data"]
)
async def test_a_response_of_another_form_has_no_image(tmp_path: Path, place: str, nonsense: object) -> None:
    inner: dict[str, object] = {
        "candidates": nonsense,
        "candidate": [nonsense],
        "content": [{"content": nonsense}],
        "parts": [{"content": {"parts": nonsense}}],
        "part": [{"content": {"parts": [nonsense]}}],
        "inlineData": [{"content": {"parts": [{"inlineData": nonsense}]}}],
        "data": [{"content": {"parts": [{"inlineData": {"data": nonsense}}]}}],
    }
    answer = await generated({"candidates": inner[place], "responseId": nonsense}, tmp_path)

    # The word "text" happens to be base64.
    code = None if (place, nonsense) == ("data", "text") else "provider_failed"
    job_id = str(nonsense) if nonsense in ("text", 7) else "gen_1.2"
    assert (answer.job_id, answer.result.code) == (job_id, code)


def error(status: str, *details: object) -> dict[str, Any]:
    return {"error": {"code": 1, "message": "no", "status": status, "details": list(details)}}


KEY_INVALID = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
REFUSALS: list[tuple[int, object, type[ServiceError]]] = [
    (400, error("INVALID_ARGUMENT"), InvalidInput),
    (400, error("INVALID_ARGUMENT", KEY_INVALID), ProviderRefused),
    (400, error("FAILED_PRECONDITION"), ProviderRefused),
    (401, error("UNAUTHENTICATED"), ProviderRefused),
    (403, error("PERMISSION_DENIED"), ProviderRefused),
    (404, error("NOT_FOUND"), ProviderRefused),
    (408, None, SubmitAmbiguous),
    (413, None, ProviderRefused),
    (429, error("RESOURCE_EXHAUSTED"), ProviderThrottled),
    (429, None, ProviderThrottled),
    (500, error("INTERNAL"), SubmitAmbiguous),
    (502, None, SubmitAmbiguous),
    (503, error("UNAVAILABLE"), ProviderUnavailable),
    (503, None, SubmitAmbiguous),
    (504, error("DEADLINE_EXCEEDED"), SubmitAmbiguous),
]


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS)
async def test_a_refusal_says_whose_fault_it_is(
    tmp_path: Path, status: int, body: object, kind: type[ServiceError]
) -> None:
    with pytest.raises(ServiceError) as caught:
        await generated(httpx.Response(status, json=body), tmp_path)

    assert facts(caught.value) == (kind, None)


@pytest.mark.parametrize(
    ("delay", "headers", "seconds"),
    [
        ("17s", {}, 17),
        ("0.5s", {}, 0.5),
        ("17s", {"Retry-After": "3"}, 3),
        ("99999s", {}, 3600),
        ("-5s", {}, None),
        ("soon", {}, None),
        (17, {}, None),
        (None, {}, None),
        ("9" * 5000 + "s", {}, None),
    ],
)
async def test_a_pause_is_read_from_the_header_or_the_body(
    tmp_path: Path, delay: object, headers: dict[str, str], seconds: float | None
) -> None:
    body = error("RESOURCE_EXHAUSTED", None, {"@type": "Help"}, {"@type": RETRY_INFO, "retryDelay": delay})
    with pytest.raises(ServiceError) as caught:
        await generated(httpx.Response(429, json=body, headers=headers), tmp_path)

    assert facts(caught.value) == (ProviderThrottled, seconds)


@pytest.mark.parametrize(
    "body",
    [
        *NONSENSE,
        *({"error": each} for each in NONSENSE),
        *({"error": {"details": each}} for each in NONSENSE),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("status", "kind"), [(400, ProviderRefused), (429, ProviderThrottled), (503, SubmitAmbiguous)]
)
async def test_a_refusal_of_another_form_goes_by_its_status(
    tmp_path: Path, status: int, kind: type[ServiceError], body: object
) -> None:
    with pytest.raises(kind):
        await generated(httpx.Response(status, json=body), tmp_path)
