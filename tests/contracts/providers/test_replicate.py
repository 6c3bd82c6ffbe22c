"""What Replicate alone does: events that were not asked for stay away, and a cancel calls back too."""

from dataclasses import replace

import pytest

from adapters.providers.replicate.webhooks import ReplicateWebhookReader
from domain.errors import ProviderRefused, SignatureInvalid
from domain.provider import JobStatus
from tests.contracts.providers.job_cases import REPLICATE
from tests.contracts.providers.job_subject import JobSubject
from tests.simulator.receiver import Receiver
from tests.support.eventually import eventually

pytestmark = pytest.mark.parametrize("case", [REPLICATE], ids=["replicate"])


async def test_only_the_end_calls_back(subject: JobSubject, receiver: Receiver) -> None:
    first = await subject.submit("a quiet fox", webhook_url=receiver.url("/first"))
    await subject.ended(first)
    await subject.submit("a fox after it", webhook_url=receiver.url("/second"))
    await receiver.first("/second")
    events = [await subject.read(received) for received in receiver.of("/first")]

    assert [event.result.status for event in events] == [JobStatus.SUCCEEDED]


async def test_a_prediction_that_was_called_off_calls_back(subject: JobSubject, receiver: Receiver) -> None:
    job = await subject.submit("an endless fox that calls [sim:hang]", webhook_url=receiver.url())
    assert await subject.cancel(job)
    event = await subject.read(await receiver.first())

    assert (event.job_id, event.result.status, event.result.code) == (
        job.job_id,
        JobStatus.FAILED,
        "provider_failed",
    )


async def test_a_cancel_that_is_not_obeyed_leaves_it_running(subject: JobSubject) -> None:
    job = await subject.submit("a stubborn fox [sim:ignore_cancel] [sim:latency=1.5]")

    assert await subject.cancel(job)
    assert (await subject.ended(job)).status is JobStatus.SUCCEEDED


async def test_another_accounts_secret_reads_nothing(subject: JobSubject, receiver: Receiver) -> None:
    await subject.submit("a fox of one account", webhook_url=receiver.url())
    received = await eventually(lambda: receiver.received[:1])
    stranger = replace(subject, reader=ReplicateWebhookReader(["whsec_YW5vdGhlciBhY2NvdW50"]))
    with pytest.raises(SignatureInvalid):
        await stranger.read(received[0])


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [("black-forest-labs/flux-schnell", "[sim:submit_402]"), ("nobody/nothing", "")],
)
async def test_what_is_wrong_on_our_side_is_refused(subject: JobSubject, endpoint: str, fault: str) -> None:
    submission = replace(subject.case, endpoint=endpoint).submission(f"a refused fox {fault}")
    with pytest.raises(ProviderRefused):
        await subject.provider.submit(submission)
