"""Polling and canceling a job at fal: every documented response, and some others."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.errors import ProviderThrottled, ProviderUnavailable
from domain.generation import Undelivered
from domain.provider import JobStatus, ProviderCost, ProviderJob, ProviderResult, ResultFile
from tests.unit.adapters.providers.fal.requests import (
    JOB,
    KEY,
    QUEUE,
    REQUEST,
    REQUESTS,
    fal_answering,
    fal_on,
)
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse

STATUS, RESULT, CANCEL = f"GET {REQUESTS}/status", f"GET {REQUESTS}", f"PUT {REQUESTS}/cancel"
COMPLETED = httpx.Response(200, json={"status": "COMPLETED", "request_id": "job-1", "logs": []})
IMAGES = {"images": [{"url": "https://v3.fal.media/a.png"}], "seed": 7, "has_nsfw_concepts": [False]}


async def fetched(answers: dict[str, MockResponse]) -> ProviderResult:
    return await fal_answering(answers).poll_job(REQUEST, JOB)


async def result_of(status: int, body: Any = None, **headers: str) -> ProviderResult:
    """Return the result of a completed job with this response to its result request."""
    return await fetched({STATUS: COMPLETED, RESULT: httpx.Response(status, json=body, headers=headers)})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(202, json={"status": "IN_QUEUE", "queue_position": 3}),
        httpx.Response(202, json={"status": "IN_PROGRESS", "logs": None}),
        httpx.Response(200, json={"status": "IN_PROGRESS"}),
        httpx.Response(200, json={"status": ["COMPLETED"]}),
        httpx.Response(200, json=["COMPLETED"]),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"\xff"),
        httpx.Response(200, content=b""),
    ],
)
async def test_a_status_that_is_not_completed_leaves_the_job_running(answer: httpx.Response) -> None:
    result = await fetched({STATUS: answer})

    assert (result.status, result.unknown_status) == (JobStatus.RUNNING, None)


async def test_an_unknown_status_word_is_running_and_reported() -> None:
    result = await fetched({STATUS: httpx.Response(200, json={"status": "SOMETHING\0NEW"})})

    assert result == ProviderResult(JobStatus.RUNNING, unknown_status="SOMETHINGNEW")


async def test_images_that_did_not_come_are_named() -> None:
    result = await result_of(200, IMAGES)

    assert result.files == (ResultFile("https://v3.fal.media/a.png"),)
    assert result.undelivered == (Undelivered(1, "not_delivered"),)


async def test_the_result_of_a_completed_job_is_requested_with_our_key_and_in_order() -> None:
    images = {"images": [{"url": "https://v3.fal.media/b"}, {"url": "https://v3.fal.media/a"}]}
    headers = {"x-fal-billable-units": "2"}
    wire = MockHttp({STATUS: COMPLETED, RESULT: httpx.Response(200, json=images, headers=headers)})
    result = await fal_on(wire.http).poll_job(REQUEST, JOB)

    files = (ResultFile("https://v3.fal.media/b"), ResultFile("https://v3.fal.media/a"))
    assert result == ProviderResult(
        JobStatus.SUCCEEDED, files=files, cost=ProviderCost(Decimal(2), "billable_unit")
    )
    assert {request.headers["authorization"] for request in wire.requests} == {f"Key {KEY}"}


async def test_without_its_own_addresses_a_job_is_polled_without_the_sub_path() -> None:
    wire = MockHttp(
        {STATUS: COMPLETED, RESULT: httpx.Response(200, json=IMAGES), CANCEL: httpx.Response(202)}
    )
    fal, bare = fal_on(wire.http, f"{QUEUE}/"), ProviderJob("job-1", {})

    assert (await fal.poll_job(REQUEST, bare)).status is JobStatus.SUCCEEDED
    assert await fal.cancel_job(REQUEST, bare)


async def test_an_id_cannot_lead_to_another_path() -> None:
    wire = MockHttp(httpx.Response(202, json={"status": "IN_QUEUE"}))
    await fal_on(wire.http).poll_job(REQUEST, ProviderJob("j?x=1#y", {}))

    assert wire.requests[0].url.raw_path == b"/fal-ai/flux/requests/j%3Fx%3D1%23y/status?logs=1"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ProviderUnavailable),
        (401, ProviderUnavailable),
        (403, ProviderUnavailable),
        (302, ProviderUnavailable),
        (500, ProviderUnavailable),
        (502, ProviderUnavailable),
        (503, ProviderUnavailable),
        (429, ProviderThrottled),
    ],
)
async def test_a_status_request_that_fails_may_be_repeated(
    status: int, error: type[ProviderUnavailable | ProviderThrottled]
) -> None:
    with pytest.raises(error):
        await fetched({STATUS: httpx.Response(status)})


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_poll_that_breaks_off_may_be_repeated(error: type[httpx.HTTPError]) -> None:
    with pytest.raises(ProviderUnavailable):
        await fetched({STATUS: error("no")})


@pytest.mark.parametrize(("status", "error"), [(429, ProviderThrottled), (503, ProviderUnavailable)])
async def test_the_queue_may_say_when_to_ask_again(
    status: int, error: type[ProviderUnavailable | ProviderThrottled]
) -> None:
    with pytest.raises(error) as caught:
        await fetched({STATUS: httpx.Response(status, headers={"Retry-After": "9"})})

    assert caught.value.retry_after_seconds == 9


async def test_a_job_that_fal_forgot_has_failed() -> None:
    unknown = httpx.Response(404, json={"status": "NOT_FOUND"})
    by_status = await fetched({STATUS: unknown})
    by_result = await fetched({STATUS: COMPLETED, RESULT: unknown})

    assert by_status == by_result
    assert (by_status.status, by_status.code) == (JobStatus.FAILED, "provider_failed")


async def test_completed_with_an_infrastructure_error_has_failed_with_a_storable_message() -> None:
    body = (
        b'{"status": "COMPLETED", "error": "nul \\u0000 half \\ud800", "error_type": "runner_disconnected"}'
    )
    result = await fetched({STATUS: httpx.Response(200, content=body)})

    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")
    assert result.provider_message == "runner_disconnected: nul  half ?"


async def test_completed_with_a_model_error_is_what_the_result_says() -> None:
    status = httpx.Response(200, json={"status": "COMPLETED", "error": "Invalid status code: 422"})
    refused = httpx.Response(422, json={"detail": [{"type": "content_policy_violation"}]})
    result = await fetched({STATUS: status, RESULT: refused})

    assert (result.status, result.code) == (JobStatus.FAILED, "content_rejected")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (422, {"detail": [{"type": "content_policy_violation", "msg": "x"}]}, "content_rejected"),
        (422, {"detail": [{"type": "value_error", "msg": "x"}]}, "invalid_input"),
        (422, {"detail": [{"type": "no_media_generated"}]}, "provider_failed"),
        (400, {"detail": "bad", "error_type": "bad_request"}, "provider_refused"),
        (499, {"detail": "gone", "error_type": "client_cancelled"}, "provider_refused"),
        (500, {"detail": [{"type": "internal_server_error"}]}, "provider_failed"),
        (503, {"detail": "x", "error_type": "runner_disconnected"}, "provider_failed"),
        (504, {"detail": "x", "error_type": "request_timeout"}, "provider_failed"),
    ],
)
async def test_a_result_that_is_the_jobs_own_error_ends_it(status: int, body: object, code: str) -> None:
    result = await result_of(status, body, **{"x-fal-request-id": "job-1"})

    assert (result.status, result.code) == (JobStatus.FAILED, code)
    assert str(status) in str(result.provider_message)


@pytest.mark.parametrize("status", [302, 500, 502, 503, 504])
async def test_a_result_that_a_gateway_failed_may_be_requested_again(status: int) -> None:
    with pytest.raises(ProviderUnavailable):
        await result_of(status, {"detail": "Bad gateway"})


@pytest.mark.parametrize("body", [None, [], {}, {"detail": None}, {"message": "upstream reset"}])
async def test_a_failure_that_is_not_in_fals_format_may_be_requested_again(body: object) -> None:
    with pytest.raises(ProviderUnavailable):
        await result_of(502, body, **{"x-fal-request-id": "job-1"})


@pytest.mark.parametrize("charset", ["utf-8", "base64", "utf-16", "idna", "undefined"])
async def test_a_result_still_in_progress_is_no_failure_in_whatever_charset(charset: str) -> None:
    result = await result_of(
        400,
        {"detail": "Request is still in progress"},
        **{"content-type": f"application/json; charset={charset}"},
    )

    assert result == ProviderResult(JobStatus.RUNNING)


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        (httpx.Response(202, json={"status": "CANCELLATION_REQUESTED"}), True),
        (httpx.Response(200, json={"status": "OK"}), True),
        (httpx.Response(400, json={"status": "ALREADY_COMPLETED"}), False),
        (httpx.Response(404, json={"status": "NOT_FOUND"}), False),
        (httpx.Response(401), False),
    ],
)
async def test_a_cancel_says_whether_it_was_in_time(answer: httpx.Response, *, stopped: bool) -> None:
    assert await fal_answering({CANCEL: answer}).cancel_job(REQUEST, JOB) is stopped


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500), ProviderUnavailable),
        (httpx.Response(307), ProviderUnavailable),
        (httpx.Response(429), ProviderThrottled),
        (httpx.ConnectError("no"), ProviderUnavailable),
    ],
)
async def test_a_cancel_that_did_not_arrive_can_be_sent_again(
    answer: MockResponse, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await fal_answering({CANCEL: answer}).cancel_job(REQUEST, JOB)
