"""Every provider with jobs says how far a job is, in its own words, until it has ended."""

from collections.abc import Callable

import pytest

from adapters.providers.http.client import provider_client
from domain.progress import ProviderProgress
from domain.provider import JobStatus, ProviderJob
from tests.contracts.providers.cases.bfl import CASE as BFL
from tests.contracts.providers.cases.fal import CASE as FAL
from tests.contracts.providers.cases.replicate import CASE as REPLICATE
from tests.contracts.providers.job_harness import JobHarness
from tests.simulator.process import KEY
from tests.support.eventually import eventually

Says = Callable[[ProviderProgress], bool]


async def said(harness: JobHarness, job: ProviderJob, says: Says) -> ProviderProgress:
    """Poll a job that runs until its provider says so; return what it says."""

    async def check() -> ProviderProgress | None:
        result = await harness.poll(job)
        assert result.status is JobStatus.RUNNING
        return result.progress if result.progress is not None and says(result.progress) else None

    return await eventually(check)


@pytest.mark.parametrize("case", [FAL], ids=["fal"])
async def test_the_place_in_the_providers_queue_is_told(harness: JobHarness) -> None:
    waiting = await harness.submit("a fox that waits [sim:latency=60]")
    working = await harness.submit("a fox at work [sim:hang]")
    first = (await harness.poll(waiting)).progress
    last = await said(harness, working, lambda progress: not progress.is_queued)

    assert first == ProviderProgress(is_queued=True, queue_position=2)
    assert (last.queue_position, last.percent) == (None, None)


@pytest.mark.parametrize("case", [REPLICATE], ids=["replicate"])
async def test_a_prediction_that_starts_is_queued_without_a_place(harness: JobHarness) -> None:
    job = await harness.submit("a fox that starts [sim:latency=60]")

    assert (await harness.poll(job)).progress == ProviderProgress(is_queued=True)


@pytest.mark.parametrize("case", [REPLICATE, BFL], ids=["replicate", "bfl"])
async def test_the_percentage_of_one_that_hangs_stays(harness: JobHarness) -> None:
    job = await harness.submit("a fox half done [sim:hang]")
    progress = await said(harness, job, lambda progress: progress.percent is not None)

    assert (progress.percent, progress.is_queued) == (50, False)


@pytest.mark.parametrize("case", [FAL, REPLICATE], ids=["fal", "replicate"])
async def test_the_log_comes_with_the_percentage(harness: JobHarness) -> None:
    job = await harness.submit("a fox with a diary [sim:hang]")
    progress = await said(harness, job, lambda progress: bool(progress.logs))

    assert progress.logs[-1].startswith(" 50%|")
    assert len(progress.logs) <= 20


@pytest.mark.parametrize("case", [FAL, REPLICATE], ids=["fal", "replicate"])
async def test_of_a_long_log_the_end_is_kept_without_control_characters(harness: JobHarness) -> None:
    job = await harness.submit("a fox that tells stories [sim:hang] [sim:long_log=1000]")
    progress = await said(harness, job, lambda progress: bool(progress.logs))

    assert progress.logs[-1].startswith(" 50%|")
    assert all(line.isprintable() for line in progress.logs)
    assert sum(len(line.encode()) for line in progress.logs) <= 2000


@pytest.mark.parametrize("case", [FAL], ids=["fal"])
async def test_a_log_that_is_larger_than_any_response_does_not_hide_the_status(harness: JobHarness) -> None:
    async with provider_client(max_response_bytes=50_000) as http:
        harness.provider = harness.case.make(http, harness.simulator, KEY)
        job = await harness.submit("a fox that never ends its story [sim:long_log=100]")
        result = await harness.ended(job)

    assert (result.status, len(result.files)) == (JobStatus.SUCCEEDED, 1)


async def test_a_job_that_has_ended_has_no_progress(harness: JobHarness) -> None:
    assert (await harness.result_of("a fox at its end")).progress is None
