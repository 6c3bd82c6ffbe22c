"""fal's adapter and webhook reader against the simulator, which was written without them."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from adapters.providers.fal.adapter import FalProvider
from adapters.providers.fal.webhooks import FalKeys, FalWebhookReader
from adapters.providers.http.client import provider_client
from adapters.transport.http import HttpClient, Request
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
    SignatureInvalid,
    SubmitAmbiguous,
)
from domain.provider import AttemptRef, JobStatus, ProviderCost, ProviderJob, ProviderResult
from tests.simulator.process import KEY, SimulatorProcess
from tests.simulator.receiver import Received, Receiver
from tests.support.eventually import eventually
from tests.unit.adapters.providers.fal.requests import REQUEST
from tests.unit.adapters.providers.fal.signing import USER_ID
from tests.unit.adapters.providers.fal.simulated_jobs import asking, ended, fal_with, result_of


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


async def test_a_job_goes_from_submit_to_its_images(
    fal: FalProvider, fal_simulator: SimulatorProcess
) -> None:
    job = await fal.submit(asking("a fox [sim:latency=0.3]", n=2))
    first = await fal.poll_job(REQUEST, job)
    result = await ended(fal, job)

    assert (first.status, first.unknown_status) == (JobStatus.RUNNING, None)
    assert set(job.urls) == {"status", "response", "cancel"}
    assert (result.status, len(result.files), result.undelivered) == (JobStatus.SUCCEEDED, 2, ())
    assert result.cost == ProviderCost(Decimal(2), "billable_unit")
    assert all(file.url.startswith(fal_simulator.url) for file in result.files)


async def test_a_job_is_found_by_its_id_alone(fal: FalProvider) -> None:
    job = await fal.submit(asking("by id"))

    assert (await ended(fal, ProviderJob(job.job_id, {}))).status is JobStatus.SUCCEEDED


async def test_a_job_that_fal_never_had_has_failed(fal: FalProvider) -> None:
    result = await fal.poll_job(REQUEST, ProviderJob("no-such-job", {}))

    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")


@pytest.mark.parametrize(
    ("marker", "error"),
    [
        ("reject", ContentRejected),
        ("submit_429", ProviderThrottled),
        ("submit_503", ProviderUnavailable),
        ("submit_500", SubmitAmbiguous),
        ("lost_answer", SubmitAmbiguous),
        ("nonsense", InvalidInput),
    ],
)
async def test_a_submit_that_went_wrong_says_how(
    fal: FalProvider, marker: str, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        await fal.submit(asking(f"went wrong [sim:{marker}]"))


async def test_a_full_queue_says_for_how_long(fal: FalProvider) -> None:
    with pytest.raises(ProviderThrottled) as caught:
        await fal.submit(asking("full [sim:submit_429=7]"))

    assert caught.value.retry_after_seconds == 7


async def test_a_response_that_comes_too_late_is_ambiguous_and_the_job_exists(
    http: HttpClient, fal_simulator: SimulatorProcess
) -> None:
    prompt = "too late [sim:submit_latency=0.5]"
    async with provider_client(read_seconds=0.2) as hasty:
        with pytest.raises(SubmitAmbiguous):
            await fal_with(hasty, fal_simulator, KEY).submit(asking(prompt))

    async def is_accepted() -> bool:
        response = await http.send(Request("GET", f"{fal_simulator.url}/_sim/log", params={"limit": "10000"}))
        log = response.json()["entries"]
        return ("submit_accepted", prompt) in [(entry["kind"], entry["prompt"]) for entry in log]

    assert await eventually(is_accepted)


async def test_a_wrong_key_is_refused_at_submit_and_waited_for_afterwards(
    http: HttpClient, fal: FalProvider, fal_simulator: SimulatorProcess
) -> None:
    stranger = fal_with(http, fal_simulator, "wrong")
    job = await fal.submit(asking("locked"))
    with pytest.raises(ProviderRefused):
        await stranger.submit(asking("locked out"))
    with pytest.raises(ProviderUnavailable):
        await stranger.poll_job(REQUEST, job)

    assert await stranger.cancel_job(REQUEST, job) is False


@pytest.mark.parametrize(
    ("marker", "code"),
    [
        ("moderation", "content_rejected"),
        ("nsfw", "content_rejected"),
        ("fail", "provider_failed"),
        ("completed_with_error", "provider_failed"),
        ("completed_with_error=request_timeout", "provider_failed"),
        ("empty_result", "result_unusable"),
    ],
)
async def test_a_job_that_failed_says_why(fal: FalProvider, marker: str, code: str) -> None:
    result = await result_of(fal, f"failed [sim:{marker}]")

    assert (result.status, result.code) == (JobStatus.FAILED, code)


@pytest.mark.parametrize(
    ("marker", "error", "seconds"),
    [("status_429=3", ProviderThrottled, 3), ("status_500", ProviderUnavailable, None)],
)
async def test_a_status_that_fails_once_is_only_late(
    fal: FalProvider,
    marker: str,
    error: type[ProviderThrottled | ProviderUnavailable],
    seconds: float | None,
) -> None:
    job = await fal.submit(asking(f"once [sim:{marker}]"))
    with pytest.raises(error) as caught:
        await fal.poll_job(REQUEST, job)

    assert caught.value.retry_after_seconds == seconds
    assert (await ended(fal, job)).status is JobStatus.SUCCEEDED


async def test_a_cancel_is_in_time_once(fal: FalProvider) -> None:
    job = await fal.submit(asking("stop it [sim:hang]"))
    answers = [await fal.cancel_job(REQUEST, job), await fal.cancel_job(REQUEST, job)]
    result = await ended(fal, job)

    assert answers == [True, False]
    assert (result.status, result.code) == (JobStatus.FAILED, "provider_failed")


def reader_on(http: HttpClient, simulator: SimulatorProcess) -> FalWebhookReader:
    keys = FalKeys(http, f"{simulator.url}/.well-known/jwks.json")
    return FalWebhookReader(keys, user_id=USER_ID)


async def webhook_of(fal: FalProvider, receiver: Receiver, prompt: str) -> tuple[ProviderJob, Received]:
    job = await fal.submit(asking(prompt, receiver.url()))
    return job, await receiver.first()


@pytest.mark.parametrize(
    ("marker", "verdict", "code"),
    [
        ("latency=0", JobStatus.SUCCEEDED, None),
        ("moderation", JobStatus.FAILED, "content_rejected"),
        ("fail", JobStatus.FAILED, "provider_failed"),
        ("nsfw", JobStatus.FAILED, "content_rejected"),
        ("empty_result", JobStatus.FAILED, "result_unusable"),
        ("early_webhook", JobStatus.SUCCEEDED, None),
    ],
)
async def test_a_webhook_says_the_same_as_the_queue(
    http: HttpClient,
    fal: FalProvider,
    fal_simulator: SimulatorProcess,
    receiver: Receiver,
    marker: str,
    verdict: JobStatus,
    code: str | None,
) -> None:
    job, received = await webhook_of(fal, receiver, f"called back [sim:{marker}]")
    event = await reader_on(http, fal_simulator).read_event(
        received.headers, received.body, AttemptRef("gen_1")
    )
    polled = await ended(fal, job)

    assert event.job_id == job.job_id
    assert (event.result.status, event.result.code) == (verdict, code)
    assert (polled.status, polled.code) == (verdict, code)


async def test_a_webhook_that_names_no_status_sends_us_to_ask(
    http: HttpClient, fal: FalProvider, fal_simulator: SimulatorProcess, receiver: Receiver
) -> None:
    job, received = await webhook_of(fal, receiver, "called back [sim:completed_with_error]")
    event = await reader_on(http, fal_simulator).read_event(
        received.headers, received.body, AttemptRef("gen_1")
    )

    assert (event.job_id, event.result) == (job.job_id, ProviderResult(JobStatus.CHECK))
    assert (await ended(fal, job)).code == "provider_failed"


@pytest.mark.parametrize("marker", ["forged_webhook", "stale_webhook", "wrong_account"])
async def test_a_webhook_of_another_account_or_time_is_refused(
    http: HttpClient,
    fal: FalProvider,
    fal_simulator: SimulatorProcess,
    receiver: Receiver,
    marker: str,
) -> None:
    _, received = await webhook_of(fal, receiver, f"not ours [sim:{marker}]")
    with pytest.raises(SignatureInvalid):
        await reader_on(http, fal_simulator).read_event(received.headers, received.body, AttemptRef("gen_1"))


async def test_many_submits_at_once_are_as_many_jobs(fal: FalProvider) -> None:
    jobs = await asyncio.gather(*(fal.submit(asking("one of many")) for _ in range(20)))

    assert len({job.job_id for job in jobs}) == 20
