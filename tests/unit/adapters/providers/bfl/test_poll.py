"""Polling a task at BFL: known and unknown statuses, and responses without one."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.moderation import ModeratedAt
from domain.progress import ProviderProgress
from domain.provider import JobStatus, ProviderCost, ProviderJob, ProviderResult, ResultFile
from tests.unit.adapters.providers.bfl.requests import JOB, REGION, REQUEST, bfl_answering, bfl_on
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse
from tests.unit.adapters.providers.recorded import recorded, recorded_body

SAMPLE = "https://delivery-eu1.bfl.ai/results/x.jpeg?se=2026&sig=abc"


async def fetched(answer: MockResponse) -> ProviderResult:
    return await bfl_answering({f"GET {REGION}": answer}).poll_job(REQUEST, JOB)


async def polled(**task: Any) -> ProviderResult:
    return await fetched(httpx.Response(200, json={"id": JOB.job_id, **task}))


@pytest.mark.parametrize("status", ["Pending", "Queued", "Reasoning", "Generating", None, 5, ["Ready"]])
async def test_a_task_that_has_not_ended_is_running(status: object) -> None:
    result = await polled(status=status, result=None)

    assert (result.status, result.unknown_status) == (JobStatus.RUNNING, None)


async def test_a_recorded_pending_task_is_running() -> None:
    progress = ProviderProgress(percent=30)

    assert await fetched(recorded("bfl", "pending")) == ProviderResult(JobStatus.RUNNING, progress=progress)


@pytest.mark.parametrize("word", ["Warming Up", "Ready soon", "Not ready"])
async def test_an_unknown_status_word_is_running_and_reported(word: str) -> None:
    assert await polled(status=word) == ProviderResult(JobStatus.RUNNING, unknown_status=word)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"null"])
async def test_a_response_without_a_status_leaves_the_task_running(content: bytes) -> None:
    assert await fetched(httpx.Response(200, content=content)) == ProviderResult(JobStatus.RUNNING)


async def test_a_ready_task_has_its_one_image() -> None:
    result = await fetched(recorded("bfl", "ready"))

    assert result == ProviderResult(JobStatus.SUCCEEDED, files=(ResultFile(SAMPLE),))


async def test_a_result_may_have_a_cost() -> None:
    beside = await polled(status="Ready", cost=3.5, result={"sample": SAMPLE})
    inside = await polled(status="Ready", result={"sample": SAMPLE, "cost": 3.5})

    assert beside.cost == inside.cost == ProviderCost(Decimal("3.5"), "bfl_credit")


@pytest.mark.parametrize(
    "result",
    [None, [], {}, SAMPLE, {"sample": None}, {"sample": ""}, {"sample": "two words"}, {"sample": [SAMPLE]}],
)
async def test_ready_without_an_address_is_unusable(result: object) -> None:
    ended = await polled(status="Ready", result=result)

    assert (ended.status, ended.code) == (JobStatus.FAILED, "result_unusable")


@pytest.mark.parametrize(
    ("name", "at", "words"),
    [
        ("request moderated", ModeratedAt.INPUT, "Safety Filter"),
        ("content moderated", ModeratedAt.OUTPUT, "Derivative Works Filter"),
    ],
)
async def test_moderation_says_what_was_refused(name: str, at: ModeratedAt, words: str) -> None:
    result = await fetched(recorded("bfl", name))

    assert (result.status, result.code) == (JobStatus.FAILED, "content_rejected")
    assert (result.moderated_at, result.does_not_charge) == (at, False)
    assert words in str(result.provider_message)


@pytest.mark.parametrize("status", ["Error", "Failed", "Task not found"])
async def test_a_task_that_failed_has_ended_and_may_have_cost(status: str) -> None:
    result = await polled(status=status)

    assert (result.status, result.code, result.does_not_charge) == (
        JobStatus.FAILED,
        "provider_failed",
        False,
    )


@pytest.mark.parametrize("http_status", [200, 400, 404, 410, 422])
async def test_a_task_that_bfl_does_not_know_has_failed_with_whatever_http_status(http_status: int) -> None:
    body = recorded_body("bfl", "not found")

    assert (await fetched(httpx.Response(http_status, json=body))).code == "provider_failed"


@pytest.mark.parametrize("answer", [recorded("bfl", "not found"), httpx.Response(404)])
async def test_away_from_its_own_address_an_unknown_task_may_be_in_another_region(
    answer: MockResponse,
) -> None:
    result = await bfl_answering(answer).poll_job(REQUEST, ProviderJob(JOB.job_id, {}))

    assert result == ProviderResult(JobStatus.RUNNING, unknown_status="Task not found")


async def test_a_404_without_a_word_is_an_unknown_task_too() -> None:
    assert (await fetched(httpx.Response(404))).code == "provider_failed"


async def test_nothing_is_sent_to_call_a_task_off() -> None:
    wire = MockHttp(httpx.Response(200))

    assert await bfl_on(wire.http).cancel_job(REQUEST, JOB) is False
    assert wire.requests == []
