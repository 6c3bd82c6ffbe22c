"""A second provider: only if the first took nothing, or failed without a charge; one hold, one price."""

import asyncio
from dataclasses import replace

import pytest

from domain.errors import (
    ContentRejected,
    DatabaseUnavailable,
    InvalidInput,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.generation import Outcome, Stage, Status, TimingPolicy
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ProviderJob, ProviderResult
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING
from tests.support.scripted import Script, success
from tests.support.world import World

PRICE = 4
OTHER_JOB = ProviderJob("job-2", {})


def fallback_script() -> Script:
    """Return a script of a fallback that finishes at the first poll."""
    return Script(submits=[OTHER_JOB], polls=[success("from the other")])


def failed(code: str, *, is_free: bool, at: ModeratedAt | None = None) -> ProviderResult:
    return ProviderResult(JobStatus.FAILED, code=code, does_not_charge=is_free, moderated_at=at)


def quick() -> TimingPolicy:
    return replace(QUICK_TIMING, first_poll_seconds=0.2, deadline_seconds=20)


@pytest.mark.parametrize(
    "submit",
    [ProviderRefused("the account is locked"), ProviderUnavailable("503")],
    ids=["refused", "unavailable"],
)
async def test_what_the_first_did_not_take_goes_to_the_second(world: World, submit: ServiceError) -> None:
    other = fallback_script()
    job = await world.start(Script(submits=[submit]), fallback=other, timing=quick())

    outcome = await job.outcome()

    await job.keep_history(f"completed_by_fallback_after_{submit.code}")
    assert outcome == Outcome(job.id, Status.COMPLETED, None, PRICE, 1)
    assert [submission.request.provider for submission in other.submitted] == ["replicate"]
    assert ((await job.balance()).held, (await job.balance()).spent) == (0, PRICE)
    assert await job.transfers() == ["hold", "settle"]
    assert (await job.attempts())[1].state == (
        "rejected" if isinstance(submit, ProviderRefused) else "not_sent"
    )


async def test_a_free_failure_goes_to_the_second(world: World) -> None:
    other = fallback_script()
    first = Script(polls=[failed(ProviderFailed.code, is_free=True)])
    job = await world.start(first, fallback=other, timing=quick())

    outcome = await job.outcome()

    await job.keep_history("completed_by_fallback_after_a_free_failure")
    assert outcome == Outcome(job.id, Status.COMPLETED, None, PRICE, 1)
    assert len(first.submitted) == len(other.submitted) == 1
    progress_attempts = sorted(await job.attempts())
    assert progress_attempts == [1, 2]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Script(submits=[ContentRejected("no")]), "content_rejected"),
        (Script(submits=[InvalidInput("no")]), "invalid_input"),
        (Script(polls=[failed(ProviderFailed.code, is_free=False)]), "provider_failed"),
        (
            Script(polls=[failed(ContentRejected.code, is_free=True, at=ModeratedAt.OUTPUT)]),
            "content_rejected",
        ),
    ],
    ids=["moderated", "invalid", "charged failure", "moderated image"],
)
async def test_anything_else_stays_where_it_is(world: World, script: Script, code: str) -> None:
    other = fallback_script()
    job = await world.start(script, fallback=other, timing=quick())

    assert await job.outcome() == Outcome(job.id, Status.FAILED, code)
    assert other.submitted == []
    assert ((await job.balance()).held, (await job.balance()).spent) == (0, 0)


@pytest.mark.parametrize(
    ("submit", "code"),
    [
        (SubmitAmbiguous("connection lost"), "submit_unknown"),
        (ProviderJob("job-1", {}), ProviderTimedOut.code),
    ],
    ids=["unknown", "timed out"],
)
async def test_no_fallback_while_the_first_may_be_at_work(
    world: World, submit: ProviderJob | Exception, code: str
) -> None:
    other = fallback_script()
    timing = replace(quick(), deadline_seconds=1.0)
    job = await world.start(Script(submits=[submit]), fallback=other, timing=timing)

    assert await job.outcome() == Outcome(job.id, Status.FAILED, code)
    assert other.submitted == []


async def test_both_may_fail(world: World) -> None:
    other = Script(submits=[ProviderRefused("no credit there either")])
    job = await world.start(Script(submits=[ProviderRefused("no")]), fallback=other, timing=quick())

    outcome = await job.outcome()

    await job.keep_history("refused_by_both")
    assert outcome == Outcome(job.id, Status.FAILED, "provider_refused")
    assert (await job.balance()).held == 0


async def test_a_late_result_of_the_first_changes_nothing(world: World) -> None:
    """Send the image from a provider that had reported a failure."""
    other = Script(submits=[OTHER_JOB])
    first = Script(polls=[failed(ProviderFailed.code, is_free=True)])
    job = await world.start(first, fallback=other, timing=quick())
    await job.reaches(Stage.GENERATING)
    await eventually(lambda: other.submitted)

    await job.webhook(success("late"), ordinal=1)
    await job.webhook(success("in time"), ordinal=2, provider="replicate", job_id="job-2")

    assert (await job.outcome()).status is Status.COMPLETED
    assert list(world.store.objects.values()).count(b"in time") == 1
    assert b"late" not in world.store.objects.values()


async def test_a_cancel_reaches_the_second_provider(world: World) -> None:
    other = Script(submits=[OTHER_JOB])
    job = await world.start(Script(submits=[ProviderRefused("no")]), fallback=other, timing=quick())
    await eventually(lambda: other.submitted)
    await job.reaches(Stage.GENERATING)

    await job.request_cancel()

    assert (await job.outcome()).status is Status.CANCELED
    assert other.cancels == ["job-2"]
    assert job.script.cancels == []


async def test_a_last_try_without_a_result_is_unknown_and_may_be_charged(world: World) -> None:
    """Lose the worker in the last try: the provider may have the job."""
    other, never = fallback_script(), asyncio.Event()
    throttled = ProviderThrottled("429", retry_after_seconds=0.1)
    script = Script(submits=[throttled, throttled, never])
    timing = replace(quick(), submit_timeout_seconds=1.0, deadline_seconds=2.0)
    job = await world.start(script, fallback=other, timing=timing)

    outcome = await job.outcome()

    never.set()
    await job.keep_history("submit_unknown_after_the_last_try")
    assert outcome == Outcome(job.id, Status.FAILED, "submit_unknown")
    assert (await job.generation()).needs_attention == "submit_unknown"
    assert other.submitted == []
    assert len(script.submitted) == 1


async def test_throttled_jobs_wait_and_do_not_fail(world: World) -> None:
    throttled = ProviderThrottled("429", retry_after_seconds=0.02)
    script = Script(submits=[*[throttled] * 3, ProviderJob("job-1", {})], polls=[success("one")])
    job = await world.start(script, timing=quick())
    assert (await job.outcome()).status is Status.COMPLETED


async def test_our_own_outage_does_not_start_the_fallback(world: World) -> None:
    other = fallback_script()
    script = Script(
        submits=[DatabaseUnavailable("ours", retry_after_seconds=0.02)] * 4, polls=[success("one")]
    )
    script.submits.append(ProviderJob("job-1", {}))
    job = await world.start(script, fallback=other, timing=quick())
    assert (await job.outcome()).status is Status.COMPLETED
    assert other.submitted == []


async def test_a_success_that_comes_before_the_refusal_counts(world: World) -> None:
    """Let the webhook overtake the submit's own 4xx: no second provider is asked and paid."""
    other, first = fallback_script(), Script(submits=[ProviderRefused("no")])
    first.submit_release.clear()
    job = await world.start(first, fallback=other, timing=quick())
    await first.begun.wait()
    await job.webhook(success("one"))
    first.submit_release.set()

    assert (await job.outcome()).status is Status.COMPLETED
    assert other.submitted == []
    assert (await job.attempts())[1].state == "succeeded"
    assert world.store.objects[f"{job.tenant_id}/{job.id}/0"] == b"one"


async def test_a_success_that_comes_after_the_refusal_is_late(world: World) -> None:
    other = Script(submits=[OTHER_JOB])
    job = await world.start(Script(submits=[ProviderRefused("no")]), fallback=other, timing=quick())
    await eventually(lambda: other.submitted)
    await job.webhook(success("late"))
    await job.webhook(success("in time"), ordinal=2, provider="replicate", job_id="job-2")

    assert (await job.outcome()).status is Status.COMPLETED
    attempts = await job.attempts()
    assert (attempts[1].state, attempts[2].state) == ("failed", "succeeded")
    assert (attempts[1].late_at is None, attempts[2].late_at is None) == (False, True)
    assert world.store.objects[f"{job.tenant_id}/{job.id}/0"] == b"in time"
