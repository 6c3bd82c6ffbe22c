"""What only BFL does: two forms of an acceptance, regions, webhooks without a signature."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from adapters.transport.http import HttpClient, Request
from domain.errors import ProviderRefused, SignatureInvalid, SubmitAmbiguous
from domain.provider import AttemptRef, JobStatus, LocalInputFile, ProviderResult
from tests.contracts.providers.cases.bfl import CASE as BFL
from tests.contracts.providers.job_case import ATTEMPT
from tests.contracts.providers.job_harness import JobHarness
from tests.simulator.receiver import Receiver

pytestmark = pytest.mark.parametrize("case", [BFL], ids=["bfl"])


async def test_a_task_is_polled_in_its_region(harness: JobHarness) -> None:
    job = await harness.submit("a fox far away [sim:wrong_region]")

    assert job.urls["polling"].startswith(harness.simulator.polling_url)
    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_a_task_without_an_address_is_found_by_its_id(harness: JobHarness, receiver: Receiver) -> None:
    job = await harness.submit("a fox by its id", webhook_url=receiver.url())

    assert (job.urls, job.cost is not None) == ({}, True)
    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_a_task_that_is_not_found_by_its_id_may_be_in_another_region(
    harness: JobHarness, receiver: Receiver
) -> None:
    job = await harness.submit("a fox gone abroad [sim:wrong_region]", webhook_url=receiver.url())

    assert await harness.poll(job) == ProviderResult(JobStatus.RUNNING, unknown_status="Task not found")


@pytest.mark.parametrize("status", [200, 404])
async def test_a_task_that_is_not_found_in_its_region_is_gone(harness: JobHarness, status: int) -> None:
    job = await harness.submit(f"a fox long gone [sim:task_not_found={status}]")
    result = await harness.poll(job)

    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")


async def test_a_response_may_have_both_forms(harness: JobHarness, receiver: Receiver) -> None:
    job = await harness.submit("a fox of both kinds [sim:hybrid_answer]", webhook_url=receiver.url())

    assert job.urls.keys() == {"polling"}
    assert (await harness.ended(job)).status is JobStatus.SUCCEEDED


async def test_a_cost_that_is_not_stated_is_none(harness: JobHarness) -> None:
    assert (await harness.submit("a free fox [sim:no_cost]")).cost is None


async def test_a_webhook_without_a_signature_is_a_reason_to_poll(
    harness: JobHarness, receiver: Receiver
) -> None:
    job = await harness.submit("an unsigned fox [sim:unsigned_webhook]", webhook_url=receiver.url())
    received = await receiver.first()
    event = await harness.read_event(received)

    assert "x-bfl-signature" not in received.headers
    assert (event.job_id, event.result) == (job.job_id, ProviderResult(JobStatus.CHECK))


async def test_a_webhook_at_the_address_of_another_attempt_is_refused(
    harness: JobHarness, receiver: Receiver
) -> None:
    await harness.submit("a fox on the wrong track", webhook_url=receiver.url())
    received = await receiver.first()
    other = AttemptRef(ATTEMPT.generation_id, ATTEMPT.ordinal + 1)

    assert (await harness.read_event(received)).result == ProviderResult(JobStatus.CHECK)
    with pytest.raises(SignatureInvalid):
        await harness.reader.read_event(received.headers, received.body, other)


async def test_what_our_mask_leaves_transparent_is_white_at_fill(
    harness: JobHarness, http: HttpClient, tmp_path: Path
) -> None:
    mask = Image.new("RGBA", (64, 64), (255, 255, 255, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 16, 64))
    image = _saved(Image.new("RGB", (64, 64), (0, 0, 255)), tmp_path / "image.png")
    asked = replace(harness.case, editor="flux-pro-1.0-fill").submission("a fox filled in", images=(image,))
    job = await harness.provider.submit(replace(asked, mask=_saved(mask, tmp_path / "mask.png")))
    log = Request("GET", f"{harness.simulator.url}/_sim/log", params={"limit": "10000"})
    entries = (await http.send(log)).json()["entries"]

    told = [entry for entry in entries if (entry["kind"], entry["request_id"]) == ("mask_read", job.job_id)]
    assert [entry["white_share"] for entry in told] == [0.25]


def _saved(picture: Image.Image, path: Path) -> LocalInputFile:
    picture.save(path)
    return LocalInputFile(path, "image/png", *picture.size)


async def test_a_newer_word_for_a_failure_is_known(harness: JobHarness) -> None:
    result = await harness.result_of("a failed fox [sim:ends_as=Failed]")

    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")


async def test_an_account_without_credits_is_refused_and_a_bad_gateway_is_ambiguous(
    harness: JobHarness,
) -> None:
    with pytest.raises(ProviderRefused):
        await harness.submit("a poor fox [sim:submit_402]")
    with pytest.raises(SubmitAmbiguous):
        await harness.submit("a fox at a gateway [sim:submit_502]")
