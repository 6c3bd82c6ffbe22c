"""Every provider that calls back: the genuine webhook is read whenever it comes, a forged one never."""

import pytest

from domain.errors import SignatureInvalid
from domain.provider import JobStatus, ProviderEvent, ProviderJob
from tests.contracts.providers.all_cases import JOB_CASES
from tests.contracts.providers.job_case import ATTEMPT
from tests.contracts.providers.job_harness import JobHarness
from tests.simulator.receiver import Receiver
from tests.support.eventually import eventually

FORGED = [(case, fault) for case in JOB_CASES for fault in case.forged]


async def called_back(
    harness: JobHarness, receiver: Receiver, prompt: str
) -> tuple[ProviderJob, ProviderEvent]:
    """Submit a job; return it and the event of its first webhook."""
    job = await harness.submit(prompt, webhook_url=receiver.url())
    return job, await harness.read_event(await receiver.first())


def reports(harness: JobHarness, event: ProviderEvent, verdict: JobStatus) -> bool:
    """Return whether the event has the status, or only triggers a poll where webhooks are not final."""
    return event.result.status is (verdict if harness.case.webhooks_are_final else JobStatus.CHECK)


async def test_a_webhook_reports_its_job(harness: JobHarness, receiver: Receiver) -> None:
    job, event = await called_back(harness, receiver, "a fox that calls")

    assert event.job_id == job.job_id
    assert reports(harness, event, JobStatus.SUCCEEDED)
    assert (await harness.poll(job)).status is JobStatus.SUCCEEDED


async def test_a_webhook_has_images_that_can_be_downloaded(harness: JobHarness, receiver: Receiver) -> None:
    job, event = await called_back(harness, receiver, "a fox that brings its image")
    result = event.result if harness.case.webhooks_are_final else await harness.ended(job)

    assert len(await harness.downloaded(result)) == 1


async def test_a_webhook_reports_a_failure(harness: JobHarness, receiver: Receiver) -> None:
    _, event = await called_back(harness, receiver, "a failing fox that calls [sim:fail]")

    assert reports(harness, event, JobStatus.FAILED)
    assert event.result.code == ("provider_failed" if harness.case.webhooks_are_final else None)


async def test_a_webhook_may_come_before_the_response_to_the_submit(
    harness: JobHarness, receiver: Receiver
) -> None:
    job = await harness.submit("an early fox [sim:early_webhook]", webhook_url=receiver.url())
    event = await harness.read_event(receiver.of("/hook")[0])

    assert event.job_id == job.job_id


async def test_a_webhook_may_come_after_the_result_was_fetched(
    harness: JobHarness, receiver: Receiver
) -> None:
    job = await harness.submit("a late fox [sim:delay_webhook=1.5]", webhook_url=receiver.url())
    polled = await harness.ended(job)
    before = len(receiver.received)
    event = await harness.read_event(await receiver.first())

    assert (polled.status, before) == (JobStatus.SUCCEEDED, 0)
    assert event.job_id == job.job_id


async def test_a_repeated_webhook_is_the_same_event(harness: JobHarness, receiver: Receiver) -> None:
    await harness.submit("a double fox [sim:duplicate_webhook]", webhook_url=receiver.url())
    await eventually(lambda: len(receiver.received) >= 2)
    first, second = [await harness.read_event(received) for received in receiver.received[:2]]

    assert first.event_id == second.event_id


@pytest.mark.parametrize(("case", "fault"), FORGED, ids=[f"{case.name}-{fault}" for case, fault in FORGED])
async def test_a_forged_webhook_is_refused_and_the_job_is_polled(
    harness: JobHarness, receiver: Receiver, fault: str
) -> None:
    job = await harness.submit(f"a forged fox [sim:{fault}]", webhook_url=receiver.url())
    received = await receiver.first()
    with pytest.raises(SignatureInvalid):
        await harness.read_event(received)

    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_a_body_under_the_headers_of_another_is_refused(
    harness: JobHarness, receiver: Receiver
) -> None:
    await harness.submit("the first fox", webhook_url=receiver.url("/one"))
    await harness.submit("the second fox", webhook_url=receiver.url("/two"))
    one, two = await receiver.first("/one"), await receiver.first("/two")
    with pytest.raises(SignatureInvalid):
        await harness.reader.read_event(one.headers, two.body, ATTEMPT)
