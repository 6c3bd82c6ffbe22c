"""Submits whose response was lost: the job is looked up, never sent again. Reports not believed at once."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

from domain.errors import ProviderFailed, ProviderUnavailable, SubmitAmbiguous
from domain.generation import Outcome, Stage, Status
from domain.provider import (
    AttemptRef,
    JobStatus,
    ProviderJob,
    ProviderResult,
    SubmitRequest,
    SubmitResult,
    SubmitState,
)
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING, new_id, request
from tests.support.scripted import RUNNING, Script, success
from tests.support.time_limits import scaled
from tests.support.world import World

QUICK = replace(QUICK_TIMING, first_poll_seconds=0.2, longest_poll_seconds=0.2)
CALLBACK = "https://api.test/fal/1"
LOST = SubmitAmbiguous("the connection was closed")
GONE = ProviderResult(JobStatus.FAILED, ProviderFailed.code, is_tentative=True)


def lost(found: ProviderJob | None, **script: object) -> Script:
    """Return a script whose submit is not answered, and of which the provider's list shows this job."""
    return Script(submits=[LOST], listed={CALLBACK: found} if found else {}, **script)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def nothing_listed_afterwards(world: World) -> None:
    world.provider.scripts.clear()


async def test_a_lost_job_is_found_by_its_callback_address(world: World) -> None:
    job = await world.start(lost(ProviderJob("job-7", {}), polls=[RUNNING, success("one")]), timing=QUICK)

    outcome = await asyncio.wait_for(job.outcome(), scaled(30))

    await job.keep_history("completed_by_a_job_that_was_looked_up")
    assert outcome.status is Status.COMPLETED
    attempt = (await job.attempts())[1]
    assert (attempt.state, attempt.provider_job_id) == ("succeeded", "job-7")
    assert job.script.begun.is_set()
    assert world.attempts.permits[AttemptRef(job.id)] == 1


async def test_a_found_job_counts_as_accepted(world: World) -> None:
    """Time out as an accepted job does, and cancel it at the provider."""
    timing = replace(QUICK, deadline_seconds=2)
    job = await world.start(lost(ProviderJob("job-7", {})), timing=timing)
    await job.reaches(Stage.GENERATING)

    assert await job.outcome() == Outcome(job.id, Status.FAILED, "provider_timed_out")
    assert (await job.generation()).needs_attention is None


async def test_what_is_not_found_is_waited_for_and_never_sent_again(world: World) -> None:
    job = await world.start(lost(None), timing=replace(QUICK, deadline_seconds=1.5))

    assert await job.outcome() == Outcome(job.id, Status.FAILED, "submit_unknown")
    assert world.attempts.permits[AttemptRef(job.id)] == 1
    assert (await job.generation()).needs_attention == "submit_unknown"


async def test_a_rerun_looks_at_once(world: World) -> None:
    asked = request(new_id("prompt"))
    attempt = AttemptRef(await world.books.add(await world.books.tenant(10), asked))
    await world.ledger.reserve(attempt.generation_id)
    await world.attempts.begin_submit(attempt)  # a worker that died during the submit
    world.provider.scripts[asked.prompt] = lost(ProviderJob("job-7", {}))
    submit = world.activities().provider.submit_job

    result = await ActivityEnvironment().run(submit, SubmitRequest(attempt.generation_id))

    assert result == SubmitResult(SubmitState.ACCEPTED, job_id="job-7")
    assert not world.provider.scripts[asked.prompt].begun.is_set()


async def test_one_transient_404_ends_no_job(world: World) -> None:
    job = await world.start(Script(polls=[GONE, GONE, success("one")]), timing=QUICK)

    assert (await job.outcome()).status is Status.COMPLETED


async def test_a_job_that_stays_gone_has_failed(world: World) -> None:
    job = await world.start(Script(polls=[GONE]), timing=QUICK)

    assert await job.outcome() == Outcome(job.id, Status.FAILED, ProviderFailed.code)
    assert job.script.polled > 1, "one poll that says so is not believed"


async def test_a_webhook_that_is_not_believed_means_poll_now(world: World) -> None:
    slow = replace(QUICK_TIMING, first_poll_seconds=60, deadline_seconds=120)
    job = await world.start(Script(polls=[success("one")]), timing=slow)
    await job.reaches(Stage.GENERATING)
    await job.webhook(GONE)

    assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED


async def test_a_look_up_that_fails_is_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    find, failures = world.provider.find_job, [ProviderUnavailable("503")] * 2

    async def away(webhook_url: str, begun_at: object) -> ProviderJob | None:
        if failures:
            raise failures.pop()
        return await find(webhook_url, begun_at)  # type: ignore[arg-type]

    monkeypatch.setattr(world.provider, "find_job", away)
    job = await world.start(lost(ProviderJob("job-7", {}), polls=[success("one")]), timing=QUICK)

    assert (await job.outcome()).status is Status.COMPLETED
    await eventually(lambda: not failures)
