"""Every provider with jobs keeps the port's promises, whatever goes wrong at its simulator."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

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
from tests.contracts.providers.job_cases import JOB_CASES, JobCase
from tests.contracts.providers.job_subject import JobSubject
from tests.contracts.providers.simulated import SimulatedProvider
from tests.support.eventually import eventually

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
MODERATION = [(case, fault) for case in JOB_CASES for fault in case.moderation]


async def test_a_job_is_followed_to_an_image_and_a_cost(subject: JobSubject) -> None:
    job = await subject.submit("a fox")
    result = await subject.ended(job)
    (facts,) = await subject.downloaded(result)

    assert (result.status, result.undelivered) == (JobStatus.SUCCEEDED, ())
    assert facts.content_type in ("image/png", "image/jpeg")
    cost = job.cost or result.cost
    assert cost is not None
    assert (cost.unit, cost.amount > 0) == (subject.case.cost_unit, True)


async def test_a_slow_job_is_running_until_it_has_ended(subject: JobSubject) -> None:
    job = await subject.submit("a slow fox [sim:latency=1.5]")
    first = await subject.fetch(job)

    assert (first.status, first.unknown_status) == (JobStatus.RUNNING, None)
    assert (await subject.ended(job)).status is JobStatus.SUCCEEDED


async def test_a_throttled_submit_took_nothing_and_says_when_to_come_again(subject: JobSubject) -> None:
    prompt = "a throttled fox [sim:submit_429=7]"
    with pytest.raises(ProviderThrottled) as caught:
        await subject.submit(prompt)
    before = await subject.accepted(prompt)
    await subject.submit(prompt)

    assert (caught.value.retry_after_seconds, before, await subject.accepted(prompt)) == (7, 0, 1)


async def test_a_submit_that_broke_at_the_provider_is_ambiguous(subject: JobSubject) -> None:
    with pytest.raises(SubmitAmbiguous):
        await subject.submit("a broken fox [sim:submit_500]")
    with pytest.raises(subject.case.unavailable):
        await subject.submit("an unavailable fox [sim:submit_503]")


async def test_a_submit_whose_answer_was_lost_is_ambiguous_and_sent_once(subject: JobSubject) -> None:
    prompt = "a lost fox [sim:lost_answer]"
    with pytest.raises(SubmitAmbiguous):
        await subject.submit(prompt)

    assert await subject.accepted(prompt) == 1


async def test_a_submit_that_is_turned_down_took_nothing(subject: JobSubject) -> None:
    prompt = "an unwanted fox [sim:reject]"
    with pytest.raises(subject.case.rejected) as caught:
        await subject.submit(prompt)

    assert type(caught.value) is subject.case.rejected
    assert await subject.accepted(prompt) == 0


async def test_a_wrong_key_is_refused_and_a_job_outlives_it(
    subject: JobSubject, http: httpx.AsyncClient
) -> None:
    job = await subject.submit("a fox of ours")
    stranger = replace(subject, provider=subject.case.make(http, subject.simulator, "guessed"))
    with pytest.raises(ProviderRefused):
        await stranger.submit("a fox of a stranger")
    with pytest.raises(ProviderUnavailable):
        await stranger.fetch(job)

    assert (await subject.ended(job)).status is JobStatus.SUCCEEDED


async def test_a_provider_that_is_away_took_nothing(
    case: JobCase, http: httpx.AsyncClient, tmp_path: Path
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
async def test_a_question_that_fails_is_asked_again(
    subject: JobSubject, fault: str, error: type[ProviderThrottled | ProviderUnavailable]
) -> None:
    job = await subject.submit(f"a fox asked for twice [sim:{fault}]")
    with pytest.raises(error) as caught:
        await subject.fetch(job)

    assert caught.value.retry_after_seconds == (7 if error is ProviderThrottled else None)
    assert (await subject.ended(job)).status is JobStatus.SUCCEEDED


async def test_an_unknown_status_is_still_running_and_told(subject: JobSubject) -> None:
    job = await subject.submit("a strange fox [sim:unknown_status=WARMING_UP] [sim:latency=8]")

    # Some providers have another word for the quarter of its time in which it only stands in line.
    assert await eventually(lambda: _unknown_status(subject, job)) == "WARMING_UP"


async def _unknown_status(subject: JobSubject, job: ProviderJob) -> str | None:
    result = await subject.fetch(job)
    assert result.status is JobStatus.RUNNING
    return result.unknown_status


async def test_a_job_that_failed_has_our_code_and_says_whether_it_is_free(subject: JobSubject) -> None:
    result = await subject.result_of("a failing fox [sim:fail]")

    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")
    assert (result.does_not_charge, result.files) == (subject.case.free_failure, ())
    assert result.provider_message


@pytest.mark.parametrize(
    ("case", "fault"), MODERATION, ids=[f"{case.name}-{fault}" for case, fault in MODERATION]
)
async def test_moderation_says_what_was_refused(subject: JobSubject, fault: str) -> None:
    result = await subject.result_of(f"a naughty fox [sim:{fault}]")

    assert (result.status, result.code) == (JobStatus.FAILED, "content_rejected")
    assert result.moderated_at is subject.case.moderation[fault]


async def test_a_success_without_an_image_is_unusable(subject: JobSubject) -> None:
    result = await subject.result_of("an invisible fox [sim:empty_result]")

    assert (result.status, result.code) == (JobStatus.FAILED, "result_unusable")


async def test_a_job_that_the_provider_does_not_know_has_failed(subject: JobSubject) -> None:
    job = await subject.submit("a known fox")
    urls = {purpose: url.replace(job.job_id, UNKNOWN_ID) for purpose, url in job.urls.items()}
    result = await subject.fetch(ProviderJob(UNKNOWN_ID, urls))

    assert urls
    assert (result.status, result.code, result.does_not_charge) == (
        JobStatus.FAILED,
        "provider_failed",
        False,
    )


async def test_several_images_come_as_several(subject: JobSubject) -> None:
    if not subject.case.makes_several:
        pytest.skip("one image for each job")
    result = await subject.result_of("two foxes", n=2)
    facts = await subject.downloaded(result)

    assert (len(facts), len({fact.sha256 for fact in facts}), result.undelivered) == (2, 2, ())


async def test_an_image_that_did_not_come_is_named(subject: JobSubject) -> None:
    if subject.case.partial is None:
        pytest.skip("all or nothing")
    result = await subject.result_of(f"two foxes, one away [sim:{subject.case.partial}]", n=2)

    assert (result.status, len(await subject.downloaded(result))) == (JobStatus.SUCCEEDED, 1)
    assert result.undelivered == (Undelivered(1, "not_delivered"),)


async def test_a_job_can_be_called_off_where_the_provider_can(subject: JobSubject) -> None:
    job = await subject.submit("an endless fox [sim:hang]")
    stopped = await subject.cancel(job)

    assert stopped is subject.case.can_cancel
    if stopped:
        assert (await subject.ended(job)).status is JobStatus.FAILED
    else:
        assert (await subject.fetch(job)).status is JobStatus.RUNNING


async def test_a_job_that_has_ended_cannot_be_called_off(subject: JobSubject) -> None:
    job = await subject.submit("a finished fox")
    await subject.ended(job)

    assert await subject.cancel(job) is False
    assert (await subject.fetch(job)).status is JobStatus.SUCCEEDED


async def test_an_address_that_died_is_renewed_where_the_provider_does_so(subject: JobSubject) -> None:
    job = await subject.submit("a short-lived fox [sim:drop_webhook] [sim:expired_url]")
    with pytest.raises(ResultExpired):
        await subject.downloaded(await subject.ended(job))
    again = await subject.fetch(job)

    if subject.case.renews_addresses:
        assert len(await subject.downloaded(again)) == 1
    else:
        with pytest.raises(ResultExpired):
            await subject.downloaded(again)


async def test_bytes_that_are_no_image_are_never_taken_for_one(subject: JobSubject) -> None:
    with pytest.raises(ResultUnusable):
        await subject.downloaded(await subject.result_of("a garbled fox [sim:wrong_bytes]"))


@pytest.mark.parametrize("side_pixels", [64, 400])
async def test_the_clients_images_reach_the_model_in_order(
    subject: JobSubject, tmp_path: Path, side_pixels: int
) -> None:
    if subject.case.editor is None:
        pytest.skip("the simulator looks at no inputs")
    colors = [(255, 0, 0), (0, 0, 255)][: subject.case.most_inputs]
    images = tuple(_plain(tmp_path / f"{color}.png", color, side_pixels) for color in colors)
    submission = subject.case.submission("a fox in these colors", images=images)
    result = await subject.ended(await subject.provider.submit(submission))
    places = [((index + 0.5) / len(colors), 0.25) for index in range(len(colors))]

    assert await subject.colors(result, places) == colors


def _plain(path: Path, color: tuple[int, int, int], side_pixels: int) -> LocalInputFile:
    """Not compressed, so that the larger one is over what some providers take inside a request."""
    Image.new("RGB", (side_pixels, side_pixels), color).save(path, "png", compress_level=0)
    return LocalInputFile(path, "image/png", side_pixels, side_pixels)
