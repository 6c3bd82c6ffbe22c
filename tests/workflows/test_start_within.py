"""A job that a provider must have taken by a time that its client has set: else it fails, free of charge."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.credits import Balance
from domain.errors import (
    ModerationUnavailable,
    NotStartedInTime,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
)
from domain.generation import Outcome, Stage, Status
from domain.provider import JobStatus, ProviderJob, ProviderResult
from tests.conftest import namespaced_client
from tests.support.deadlines import soon, started_within, time_is_over
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING
from tests.support.scripted import Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World, running_world

UNTOUCHED = Balance(available=10, held=0, spent=0)
THROTTLED = ProviderThrottled("429", retry_after_seconds=3600)


@pytest.fixture(scope="module")
async def world(servers: Servers, database: Database) -> AsyncIterator[World]:
    """Return a world that caches workflows, as a timer and a step may come at once."""
    client = await namespaced_client(servers, "start-within")
    async with running_world(client, database, cached_workflows=100) as world:
        yield world


@pytest.fixture(autouse=True)
async def no_limits_afterwards(world: World) -> AsyncIterator[None]:
    yield
    await world.end_all()
    world.limits.clear()
    world.check.error = None
    await world.books.clear_slots()


def fallback_script() -> Script:
    return Script(submits=[ProviderJob("job-2", {})], polls=[success("from the other")])


def held_script(submit: Exception | ProviderJob) -> Script:
    """Return a script of a submit that is answered when the test says so."""
    script = Script(submits=[submit])
    script.submit_release.clear()
    return script


async def assert_not_started(job: Job) -> None:
    assert await job.outcome() == Outcome(job.id, Status.FAILED, NotStartedInTime.code)
    assert await job.balance() == UNTOUCHED
    await job.world.books.assert_consistent(job.tenant_id)


async def test_a_job_without_a_slot_fails_then(world: World) -> None:
    world.limits["fal"] = 0
    job = await world.start(asked=started_within(soon()))

    await assert_not_started(job)

    await job.keep_history("not_started_in_time_without_a_slot")
    assert await job.transfers() == ["hold", "refund"]
    assert not await job.is_queued()


async def test_a_job_that_no_worker_submits_fails_then(world: World) -> None:
    job = await world.start(asked=started_within(soon()), provider="unserved")
    await assert_not_started(job)
    await job.keep_history("not_started_in_time_without_a_worker")


async def test_a_job_that_is_pushed_back_fails_then(world: World) -> None:
    job = await world.start(Script(submits=[THROTTLED]), asked=started_within(soon()))
    await assert_not_started(job)
    await job.keep_history("not_started_in_time_after_pushback")


async def test_a_job_that_starts_late_holds_nothing(world: World) -> None:
    job = await world.start(asked=started_within(1), ledger_is_away=True)
    await time_is_over(job)
    world.ledger.away.discard(job.id)

    await assert_not_started(job)
    assert (await job.transfers(), await job.error_stage()) == ([], Stage.CREATED)


async def test_a_job_that_waits_for_our_own_check_fails_then(world: World) -> None:
    world.check.error = ModerationUnavailable()
    job = await world.start(asked=started_within(soon()), checks_input=True)
    await assert_not_started(job)
    assert await job.transfers() == []


async def test_a_submit_in_flight_is_not_cut(world: World) -> None:
    job = await world.start(held_script(ProviderJob("job-1", {})), asked=started_within(soon()))
    await asyncio.wait_for(job.script.begun.wait(), scaled(20))
    await eventually(lambda: ("refund", job.id) in world.ledger.calls)
    job.script.submit_release.set()
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.COMPLETED
    await job.keep_history("started_by_a_submit_in_flight")
    assert job.script.cancels == []


async def test_a_submit_in_flight_that_takes_nothing_is_the_last(world: World) -> None:
    other = fallback_script()
    script = held_script(ProviderRefused("no"))
    job = await world.start(script, asked=started_within(soon()), fallback=other)
    await asyncio.wait_for(job.script.begun.wait(), scaled(20))
    await time_is_over(job)
    await eventually(lambda: ("refund", job.id) in world.ledger.calls)
    job.script.submit_release.set()

    await assert_not_started(job)
    await job.keep_history("not_started_in_time_before_the_fallback")
    assert ((await job.progress()).attempts, other.submitted) == (1, [])


async def test_a_pushback_after_the_time_ends_the_job(world: World) -> None:
    job = await world.start(held_script(THROTTLED), asked=started_within(soon()))
    await asyncio.wait_for(job.script.begun.wait(), scaled(20))
    await eventually(lambda: ("refund", job.id) in world.ledger.calls)
    job.script.submit_release.set()

    await assert_not_started(job)


async def test_the_fallback_has_what_is_left_of_the_time(world: World) -> None:
    world.limits["replicate"] = 0
    refused = Script(submits=[ProviderRefused("no")])
    job = await world.start(refused, asked=started_within(soon()), fallback=fallback_script())

    await assert_not_started(job)
    await job.keep_history("not_started_in_time_at_the_fallback")


async def test_what_one_provider_had_taken_has_started(world: World) -> None:
    """Let the first provider fail it for free after the time: the fallback goes on."""
    other = fallback_script()
    failure = ProviderResult(JobStatus.FAILED, code=ProviderFailed.code, does_not_charge=True)
    timing = replace(QUICK_TIMING, first_poll_seconds=0.2, longest_poll_seconds=0.2)
    job = await world.start(asked=started_within(soon()), fallback=other, timing=timing)
    await job.reaches(Stage.GENERATING)
    await time_is_over(job)
    job.script.polls[:] = [failure]

    assert (await job.outcome()).status is Status.COMPLETED
    assert [submission.request.provider for submission in other.submitted] == ["replicate"]
