"""Every provider with jobs fulfills the contract of its port, with every fault of its simulator."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from adapters.transport.http import HttpClient
from domain.errors import (
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ResultExpired,
    ResultUnusable,
    SubmitAmbiguous,
)
from domain.generation import Undelivered
from domain.provider import JobStatus, LocalInputFile, ProviderJob
from tests.contracts.providers.all_cases import JOB_CASES
from tests.contracts.providers.job_case import JobCase
from tests.contracts.providers.job_harness import JobHarness
from tests.contracts.providers.simulated import SimulatedProvider
from tests.support.eventually import eventually

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
MODERATION = [(case, fault) for case in JOB_CASES for fault in case.moderation]


async def test_a_job_ends_with_an_image_and_a_cost(harness: JobHarness) -> None:
    job = await harness.submit("a fox")
    result = await harness.ended(job)
    (facts,) = await harness.downloaded(result)

    assert (result.status, result.undelivered) == (JobStatus.SUCCEEDED, ())
    assert facts.content_type in ("image/png", "image/jpeg")
    cost = job.cost or result.cost
    assert cost is not None
    assert (cost.unit, cost.amount > 0) == (harness.case.cost_unit, True)


async def test_a_slow_job_is_running_until_it_has_ended(harness: JobHarness) -> None:
    job = await harness.submit("a slow fox [sim:latency=1.5]")
    first = await harness.poll(job)

    assert (first.status, first.unknown_status) == (JobStatus.RUNNING, None)
    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_a_throttled_submit_is_not_accepted_and_says_when_to_retry(harness: JobHarness) -> None:
    prompt = "a throttled fox [sim:submit_429=7]"
    with pytest.raises(ProviderThrottled) as caught:
        await harness.submit(prompt)
    before = await harness.accepted(prompt)
    await harness.submit(prompt)

    assert (caught.value.retry_after_seconds, before, await harness.accepted(prompt)) == (7, 0, 1)


async def test_a_submit_that_broke_at_the_provider_is_ambiguous(harness: JobHarness) -> None:
    with pytest.raises(SubmitAmbiguous):
        await harness.submit("a broken fox [sim:submit_500]")
    with pytest.raises(harness.case.unavailable):
        await harness.submit("an unavailable fox [sim:submit_503]")


async def test_a_submit_whose_response_was_lost_is_ambiguous_and_sent_once(harness: JobHarness) -> None:
    prompt = "a lost fox [sim:lost_answer]"
    with pytest.raises(SubmitAmbiguous):
        await harness.submit(prompt)

    assert await harness.accepted(prompt) == 1


async def test_a_rejected_submit_is_not_accepted(harness: JobHarness) -> None:
    prompt = "an unwanted fox [sim:reject]"
    with pytest.raises(harness.case.rejected) as caught:
        await harness.submit(prompt)

    assert type(caught.value) is harness.case.rejected
    assert await harness.accepted(prompt) == 0


async def test_a_wrong_key_is_refused_and_a_job_outlives_it(harness: JobHarness, http: HttpClient) -> None:
    job = await harness.submit("a fox of ours")
    stranger = replace(harness, provider=harness.case.make(http, harness.simulator, "guessed"))
    with pytest.raises(ProviderRefused):
        await stranger.submit("a fox of a stranger")
    with pytest.raises(ProviderUnavailable):
        await stranger.poll(job)

    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_an_unavailable_provider_accepted_nothing(
    case: JobCase, http: HttpClient, tmp_path: Path
) -> None:
    away = case.make(http, SimulatedProvider(tmp_path), "key")
    submission = case.submission("a fox for nobody")
    with pytest.raises(ProviderUnavailable):
        await away.submit(submission)
    with pytest.raises(ProviderUnavailable):
        await away.poll_job(submission.request, ProviderJob("job-1", {}))


@pytest.mark.parametrize(
    ("fault", "error"), [("status_429=7", ProviderThrottled), ("status_500", ProviderUnavailable)]
)
async def test_a_poll_that_fails_may_be_repeated(
    harness: JobHarness, fault: str, error: type[ProviderThrottled | ProviderUnavailable]
) -> None:
    job = await harness.submit(f"a fox asked for twice [sim:{fault}]")
    with pytest.raises(error) as caught:
        await harness.poll(job)

    assert caught.value.retry_after_seconds == (7 if error is ProviderThrottled else None)
    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_an_unknown_status_is_running_and_reported(harness: JobHarness) -> None:
    job = await harness.submit("a strange fox [sim:unknown_status=WARMING_UP] [sim:latency=8]")

    # Some providers have another status while it is queued, a quarter of its time.
    assert await eventually(lambda: _unknown_status(harness, job)) == "WARMING_UP"


async def _unknown_status(harness: JobHarness, job: ProviderJob) -> str | None:
    result = await harness.poll(job)
    assert result.status is JobStatus.RUNNING
    return result.unknown_status


async def test_a_job_that_failed_has_our_code_and_says_whether_it_is_free(harness: JobHarness) -> None:
    result = await harness.result_of("a failing fox [sim:fail]")

    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")
    assert (result.does_not_charge, result.files) == (harness.case.free_failure, ())
    assert result.provider_message


@pytest.mark.parametrize(
    ("case", "fault"), MODERATION, ids=[f"{case.name}-{fault}" for case, fault in MODERATION]
)
async def test_moderation_says_what_was_refused(harness: JobHarness, fault: str) -> None:
    result = await harness.result_of(f"a naughty fox [sim:{fault}]")

    assert (result.status, result.code) == (JobStatus.FAILED, "content_rejected")
    assert result.moderated_at is harness.case.moderation[fault]


async def test_a_success_without_an_image_is_unusable(harness: JobHarness) -> None:
    result = await harness.result_of("an invisible fox [sim:empty_result]")

    assert (result.status, result.code) == (JobStatus.FAILED, "result_unusable")


async def test_a_job_that_the_provider_does_not_know_has_failed(harness: JobHarness) -> None:
    job = await harness.submit("a known fox")
    urls = {purpose: url.replace(job.job_id, UNKNOWN_ID) for purpose, url in job.urls.items()}
    result = await harness.poll(ProviderJob(UNKNOWN_ID, urls))

    assert urls
    assert (result.status, result.code, result.does_not_charge) == (
        JobStatus.FAILED,
        "provider_failed",
        False,
    )


async def test_several_images_come_as_several(harness: JobHarness) -> None:
    if not harness.case.makes_several:
        pytest.skip("one image for each job")
    result = await harness.result_of("two foxes", n=2)
    facts = await harness.downloaded(result)

    assert (len(facts), len({fact.sha256 for fact in facts}), result.undelivered) == (2, 2, ())


async def test_an_image_that_was_not_delivered_is_named(harness: JobHarness) -> None:
    if harness.case.partial is None:
        pytest.skip("all or nothing")
    result = await harness.result_of(f"two foxes, one away [sim:{harness.case.partial}]", n=2)

    assert (result.status, len(await harness.downloaded(result))) == (JobStatus.SUCCEEDED, 1)
    assert result.undelivered == (Undelivered(1, "not_delivered"),)


async def test_a_job_can_be_canceled_where_the_provider_can(harness: JobHarness) -> None:
    job = await harness.submit("an endless fox [sim:hang]")
    stopped = await harness.cancel(job)

    assert stopped is harness.case.can_cancel
    if stopped:
        assert (await harness.ended(job)).status is JobStatus.FAILED
    else:
        assert (await harness.poll(job)).status is JobStatus.RUNNING


async def test_a_job_that_has_ended_cannot_be_canceled(harness: JobHarness) -> None:
    job = await harness.submit("a finished fox")
    await harness.ended(job)

    assert await harness.cancel(job) is False
    assert (await harness.poll(job)).status is JobStatus.SUCCEEDED


async def test_an_expired_address_is_renewed_where_the_provider_does_so(harness: JobHarness) -> None:
    job = await harness.submit("a short-lived fox [sim:drop_webhook] [sim:expired_url]")
    with pytest.raises(ResultExpired):
        await harness.downloaded(await harness.ended(job))
    again = await harness.poll(job)

    if harness.case.renews_addresses:
        assert len(await harness.downloaded(again)) == 1
    else:
        with pytest.raises(ResultExpired):
            await harness.downloaded(again)


async def test_bytes_that_are_no_image_are_unusable(harness: JobHarness) -> None:
    with pytest.raises(ResultUnusable):
        await harness.downloaded(await harness.result_of("a garbled fox [sim:wrong_bytes]"))


@pytest.mark.parametrize("side_pixels", [64, 400])
async def test_the_clients_images_reach_the_model_in_order(
    harness: JobHarness, tmp_path: Path, side_pixels: int
) -> None:
    if harness.case.editor is None:
        pytest.skip("the simulator looks at no inputs")
    colors = [(255, 0, 0), (0, 0, 255)][: harness.case.max_inputs]
    images = tuple(_plain(tmp_path / f"{color}.png", color, side_pixels) for color in colors)
    submission = harness.case.submission("a fox in these colors", images=images)
    result = await harness.ended(await harness.provider.submit(submission))
    places = [((index + 0.5) / len(colors), 0.25) for index in range(len(colors))]

    assert await harness.colors(result, places) == colors


def _plain(path: Path, color: tuple[int, int, int], side_pixels: int) -> LocalInputFile:
    """Return an uncompressed image: the larger one exceeds what some providers take in a request."""
    Image.new("RGB", (side_pixels, side_pixels), color).save(path, "png", compress_level=0)
    return LocalInputFile(path, "image/png", side_pixels, side_pixels)
