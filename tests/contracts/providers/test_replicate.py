"""What only Replicate does: it sends no events but those requested, and calls back after a cancel."""

from dataclasses import replace

import pytest

from adapters.providers.replicate.webhooks import ReplicateWebhookReader
from domain.errors import ProviderRefused, SignatureInvalid
from domain.provider import JobStatus
from tests.contracts.providers.cases.replicate import CASE as REPLICATE
from tests.contracts.providers.job_harness import JobHarness
from tests.simulator.receiver import Receiver
from tests.support.eventually import eventually

pytestmark = pytest.mark.parametrize("case", [REPLICATE], ids=["replicate"])


async def test_only_the_end_calls_back(harness: JobHarness, receiver: Receiver) -> None:
    first = await harness.submit("a quiet fox", webhook_url=receiver.url("/first"))
    await harness.ended(first)
    await harness.submit("a fox after it", webhook_url=receiver.url("/second"))
    await receiver.first("/second")
    events = [await harness.read_event(received) for received in receiver.of("/first")]

    assert [event.result.status for event in events] == [JobStatus.SUCCEEDED]


async def test_a_canceled_prediction_calls_back(harness: JobHarness, receiver: Receiver) -> None:
    job = await harness.submit("an endless fox that calls [sim:hang]", webhook_url=receiver.url())
    assert await harness.cancel(job)
    event = await harness.read_event(await receiver.first())

    assert (event.job_id, event.result.status, event.result.code) == (
        job.job_id,
        JobStatus.FAILED,
        "provider_failed",
    )


async def test_a_cancel_that_is_not_obeyed_leaves_it_running(harness: JobHarness) -> None:
    job = await harness.submit("a stubborn fox [sim:ignore_cancel] [sim:latency=1.5]")

    assert await harness.cancel(job)
    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_another_accounts_secret_reads_nothing(harness: JobHarness, receiver: Receiver) -> None:
    await harness.submit("a fox of one account", webhook_url=receiver.url())
    received = await eventually(lambda: receiver.received[:1])
    stranger = replace(harness, reader=ReplicateWebhookReader(["whsec_YW5vdGhlciBhY2NvdW50"]))
    with pytest.raises(SignatureInvalid):
        await stranger.read_event(received[0])


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [("black-forest-labs/flux-schnell", "[sim:submit_402]"), ("nobody/nothing", "")],
)
async def test_an_unknown_model_and_an_account_without_credit_are_refused(
    harness: JobHarness, endpoint: str, fault: str
) -> None:
    submission = replace(harness.case, endpoint=endpoint).submission(f"a refused fox {fault}")
    with pytest.raises(ProviderRefused):
        await harness.provider.submit(submission)
