"""How far a job is, in each provider's own form."""

from typing import Any

import httpx
import pytest

from domain.progress import ProviderProgress
from domain.provider import JobStatus, ProviderResult
from tests.unit.adapters.providers.bfl import requests as bfl
from tests.unit.adapters.providers.fal import requests as fal
from tests.unit.adapters.providers.mock_http import MockHttp
from tests.unit.adapters.providers.replicate import requests as replicate

BAR = " 45%|████▌     | 9/20 [00:03<00:03,  3.05it/s]"


async def at_fal(**status: Any) -> ProviderResult:
    answers = {f"GET {fal.REQUESTS}/status": httpx.Response(202, json=status)}
    return await fal.fal_answering(answers).poll_job(fal.REQUEST, fal.JOB)


async def at_replicate(**prediction: Any) -> ProviderResult:
    answers = {f"GET {replicate.PREDICTION}": httpx.Response(200, json=prediction)}
    return await replicate.replicate_answering(answers).poll_job(replicate.REQUEST, replicate.JOB)


async def at_bfl(**task: Any) -> ProviderResult:
    answers = {f"GET {bfl.REGION}": httpx.Response(200, json=task)}
    return await bfl.bfl_answering(answers).poll_job(bfl.REQUEST, bfl.JOB)


@pytest.mark.parametrize("status", ["IN_QUEUE", "in-queue"])
async def test_fal_says_how_many_come_first(status: str) -> None:
    result = await at_fal(status=status, queue_position=2)

    assert result == ProviderResult(JobStatus.RUNNING, progress=ProviderProgress(True, 2))


async def test_a_place_in_a_queue_that_was_left_is_none() -> None:
    assert (await at_fal(status="IN_PROGRESS", queue_position=2)).progress is None


@pytest.mark.parametrize("position", [-1, "2", None, 1.5, True])
async def test_a_place_that_is_none_leaves_the_queue(position: object) -> None:
    assert (await at_fal(status="IN_QUEUE", queue_position=position)).progress == ProviderProgress(True)


async def test_fal_is_asked_for_its_log() -> None:
    logs = [{"message": "Loading", "level": "INFO"}, {"message": BAR, "level": "STDERR"}]
    wire = MockHttp(httpx.Response(202, json={"status": "IN_PROGRESS", "logs": logs}))
    result = await fal.fal_on(wire.http).poll_job(fal.REQUEST, fal.JOB)

    assert result.progress == ProviderProgress(logs=("Loading", BAR))
    assert wire.requests[0].url.params["logs"] == "1"


@pytest.mark.parametrize(
    ("status", "is_queued"), [("starting", True), ("Starting", True), ("processing", False), ("new", False)]
)
async def test_replicate_has_a_log_and_in_it_a_bar(status: str, is_queued: bool) -> None:
    result = await at_replicate(status=status, logs=f"Using seed: 5\n{BAR}\n")

    assert result.progress == ProviderProgress(is_queued, None, 45, ("Using seed: 5", BAR))


@pytest.mark.parametrize("logs", [None, "", 5, [BAR], {"a": BAR}])
async def test_without_a_log_replicate_says_nothing(logs: object) -> None:
    assert (await at_replicate(status="processing", logs=logs)).progress is None


async def test_a_log_ends_no_prediction_and_its_end_has_no_progress() -> None:
    ended = await at_replicate(status="failed", logs=BAR, error="out of memory")

    assert (ended.status, ended.progress) == (JobStatus.FAILED, None)


@pytest.mark.parametrize(
    ("stated", "percent"), [(0.3, 30), (0, 0), (1, 100), (45, 45), (-1, None), ("0.3", None), (None, None)]
)
async def test_bfl_states_a_share(stated: object, percent: float | None) -> None:
    progress = (await at_bfl(status="Pending", progress=stated)).progress

    assert progress == (None if percent is None else ProviderProgress(percent=percent))


async def test_a_number_that_is_none_in_json_is_none() -> None:
    answers = {f"GET {bfl.REGION}": httpx.Response(200, content=b'{"status": "Pending", "progress": NaN}')}
    result = await bfl.bfl_answering(answers).poll_job(bfl.REQUEST, bfl.JOB)

    assert result == ProviderResult(JobStatus.RUNNING)


async def test_a_task_may_be_queued_at_bfl() -> None:
    assert (await at_bfl(status="queued")).progress == ProviderProgress(is_queued=True)
