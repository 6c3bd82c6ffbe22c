"""Polling and canceling a prediction at Replicate: every status, output and error."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.errors import ProviderThrottled, ProviderUnavailable
from domain.generation import Undelivered
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ProviderCost, ProviderResult, ResultFile
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse
from tests.unit.adapters.providers.recorded import recorded
from tests.unit.adapters.providers.replicate.requests import (
    JOB,
    PREDICTION,
    REQUEST,
    TOKEN,
    replicate_answering,
    replicate_on,
)

OUT = "https://replicate.delivery/xezq/a"


async def fetched(answer: MockResponse) -> ProviderResult:
    return await replicate_answering({f"GET {PREDICTION}": answer}).poll_job(REQUEST, JOB)


async def polled(**prediction: Any) -> ProviderResult:
    return await fetched(httpx.Response(200, json={"id": JOB.job_id, **prediction}))


@pytest.mark.parametrize("name", ["created", "processing", "processing with output"])
async def test_only_its_status_ends_a_prediction(name: str) -> None:
    result = await fetched(recorded("replicate", name))

    assert (result.status, result.unknown_status) == (JobStatus.RUNNING, None)


@pytest.mark.parametrize("status", [None, 5, ["succeeded"]])
async def test_a_status_that_is_no_word_is_still_running(status: object) -> None:
    assert await polled(status=status) == ProviderResult(JobStatus.RUNNING)


async def test_an_unknown_status_word_is_running_and_reported() -> None:
    assert await polled(status="warming") == ProviderResult(JobStatus.RUNNING, unknown_status="warming")


async def test_images_come_in_order_with_what_they_cost_and_our_token_was_shown() -> None:
    wire = MockHttp(recorded("replicate", "succeeded"))
    result = await replicate_on(wire.http).poll_job(REQUEST, JOB)

    files = (ResultFile(f"{OUT}/out-0.webp"), ResultFile(f"{OUT}/out-1.webp"))
    cost = ProviderCost(Decimal("1.2"), "predict_second")
    assert result == ProviderResult(JobStatus.SUCCEEDED, files=files, cost=cost)
    assert wire.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_one_address_is_one_image_and_the_other_did_not_come() -> None:
    result = await fetched(recorded("replicate", "succeeded with one address"))

    assert result.files == (ResultFile(f"{OUT}/out.png"),)
    assert result.undelivered == (Undelivered(1, "not_delivered"),)


@pytest.mark.parametrize(
    "output",
    [
        None,
        "",
        [],
        {},
        {"image": f"{OUT}/x"},
        [None],
        [None, 5],
        "data:image/png;base64,iVBORw0KGgo=",
        ["data:image/png;base64,iVBORw0KGgo="],
        "two words",
        "x" * 4001,
    ],
)
async def test_an_output_without_an_address_is_unusable(output: object) -> None:
    result = await polled(status="succeeded", output=output)

    assert (result.status, result.code, result.files) == (JobStatus.FAILED, "result_unusable", ())


@pytest.mark.parametrize("entry", [None, 5, "two words", "data:image/png;base64,iVBORw0KGgo="])
async def test_an_entry_without_an_address_is_undelivered_and_the_other_is_delivered(entry: object) -> None:
    result = await polled(status="succeeded", output=[entry, f"{OUT}/x"])

    assert (result.status, result.files) == (JobStatus.SUCCEEDED, (ResultFile(f"{OUT}/x"),))
    assert result.undelivered == (Undelivered(0, "result_unusable"),)


async def test_a_result_that_was_removed_has_expired() -> None:
    result = await fetched(recorded("replicate", "removed"))

    assert (result.status, result.code) == (JobStatus.FAILED, "result_expired")


@pytest.mark.parametrize("metrics", [None, [], {}, {"predict_time": None}, {"predict_time": "nan"}])
async def test_without_a_time_there_is_no_cost(metrics: object) -> None:
    assert (await polled(status="succeeded", output=f"{OUT}/x", metrics=metrics)).cost is None


@pytest.mark.parametrize(("name", "at"), [("flagged", ModeratedAt.INPUT), ("nsfw", ModeratedAt.OUTPUT)])
async def test_moderation_is_recognized_by_its_message(name: str, at: ModeratedAt) -> None:
    result = await fetched(recorded("replicate", name))

    assert (result.status, result.code) == (JobStatus.FAILED, "content_rejected")
    assert (result.moderated_at, result.does_not_charge) == (at, False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("(E005)", "content_rejected"),
        ("E005: no", "content_rejected"),
        ("It was Flagged as Sensitive.", "content_rejected"),
        ("CUDA out of memory (E1001)", "provider_failed"),
        ("E1001 and E005", "content_rejected"),
        ("no webhook (E4875)", "provider_refused"),
        ("E0051 XE005", "provider_failed"),
        ("", "provider_failed"),
        (None, "provider_failed"),
        ({"E005": 1}, "content_rejected"),
    ],
)
async def test_a_failure_is_known_by_its_code(error: object, code: str) -> None:
    result = await polled(status="failed", error=error)

    assert (result.status, result.code, result.does_not_charge) == (JobStatus.FAILED, code, False)


@pytest.mark.parametrize(
    ("name", "code", "is_free"),
    [("canceled", "provider_failed", False), ("aborted", "provider_timed_out", True)],
)
async def test_only_what_never_started_is_free(name: str, code: str, *, is_free: bool) -> None:
    result = await fetched(recorded("replicate", name))

    assert (result.status, result.code, result.does_not_charge) == (JobStatus.FAILED, code, is_free)


async def test_a_message_is_storable() -> None:
    result = await polled(status="failed", error="nul \0 long " * 1000)

    assert "\0" not in str(result.provider_message)
    assert len(str(result.provider_message)) <= 2000


async def test_a_prediction_that_replicate_forgot_has_failed() -> None:
    result = await fetched(httpx.Response(404))

    assert (result.status, result.code, result.does_not_charge) == (
        JobStatus.FAILED,
        "provider_failed",
        False,
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500), ProviderUnavailable),
        (httpx.Response(307), ProviderUnavailable),
        (httpx.Response(429), ProviderThrottled),
        (httpx.ReadTimeout("no"), ProviderUnavailable),
    ],
)
async def test_a_cancel_that_did_not_arrive_can_be_sent_again(
    answer: MockResponse, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await replicate_answering({f"POST {PREDICTION}/cancel": answer}).cancel_job(REQUEST, JOB)


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        (recorded("replicate", "canceled"), True),
        (recorded("replicate", "aborted"), True),
        (recorded("replicate", "processing"), True),
        (recorded("replicate", "succeeded"), False),
        (recorded("replicate", "flagged"), False),
        (httpx.Response(404), False),
    ],
)
async def test_a_cancel_says_whether_it_was_in_time(answer: MockResponse, *, stopped: bool) -> None:
    assert (
        await replicate_answering({f"POST {PREDICTION}/cancel": answer}).cancel_job(REQUEST, JOB) is stopped
    )
