"""Stopping a worker: one grace for all queues, nothing begun after it, and a cut call is written down."""

import asyncio
import time
from dataclasses import replace
from functools import partial

import pytest

from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.errors import SubmitUnknown
from domain.generation import Outcome, Status
from domain.provider import ProviderJob, SubmitRequest
from tests.conftest import namespaced_client
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING, new_id
from tests.support.scripted import Call, Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World, working

GRACE_SECONDS = 3.0


@pytest.fixture
async def world(servers: Servers, database: Database) -> World:
    """Return a world whose worker each test runs itself."""
    return World(await namespaced_client(servers, new_id("stopping")), database)


def held_script() -> Script:
    """Return a script of a submit that is answered when the test says so."""
    script = Script()
    script.submit_release.clear()
    return script


def held_call() -> Call:
    call = Call()
    call.release.clear()
    return call


async def state(job: Job) -> str:
    return (await job.attempts())[1].state


async def is_in(job: Job, wanted: str) -> bool:
    return await state(job) == wanted


async def test_all_queues_drain_within_one_grace(world: World) -> None:
    scripts, call = [held_script(), held_script()], held_call()
    async with working(world, cached_workflows=100, grace_seconds=GRACE_SECONDS) as stop:
        jobs = [await world.start(scripts[0]), await world.start(call=call)]
        jobs.append(await world.start(scripts[1]))
        for begun in (scripts[0].begun, scripts[1].begun, call.begun):
            await asyncio.wait_for(begun.wait(), scaled(20))
        stop.set()
        stopped_at = time.monotonic()
    graces = (time.monotonic() - stopped_at) / GRACE_SECONDS
    # One after the other they took as many graces as there are busy queues.
    assert graces < scaled(2)
    assert [await state(job) for job in jobs] == ["unknown", "failed", "unknown"]


async def test_a_call_that_fits_in_the_grace_is_not_cut(world: World) -> None:
    call, script = held_call(), held_script()
    async with working(world, cached_workflows=100, grace_seconds=scaled(10)) as stop:
        jobs = [await world.start(call=call), await world.start(script)]
        await asyncio.wait_for(call.begun.wait(), scaled(20))
        await asyncio.wait_for(script.begun.wait(), scaled(20))
        stop.set()
        await asyncio.sleep(0.5)
        call.release.set()
        script.submit_release.set()
    assert [await state(job) for job in jobs] == ["succeeded", "accepted"]

    async with working(world, cached_workflows=100):
        assert (await asyncio.wait_for(jobs[0].outcome(), scaled(30))).status is Status.COMPLETED
        await jobs[1].webhook(success("one"))
        assert (await asyncio.wait_for(jobs[1].outcome(), scaled(30))).status is Status.COMPLETED
    assert call.calls == 1


async def test_a_call_that_was_cut_ends_its_job_at_once(world: World) -> None:
    """Nothing can bring the images any more, so the credits are not held until the deadline."""
    call = held_call()
    async with working(world, cached_workflows=100, grace_seconds=0.5) as stop:
        job = await world.start(call=call)
        await asyncio.wait_for(call.begun.wait(), scaled(20))
        stop.set()
    async with working(world, cached_workflows=100):
        outcome = await asyncio.wait_for(job.outcome(), scaled(30))

    assert outcome == Outcome(job.id, Status.FAILED, SubmitUnknown.code)
    assert (await job.generation()).needs_attention == SubmitUnknown.code
    attempt = (await job.attempts())[1]
    assert (attempt.state, attempt.cost_amount, attempt.code) == ("failed", None, SubmitUnknown.code)
    assert attempt.provider_message == "the worker was stopped during the call"
    assert (await job.balance()).held == 0
    assert call.calls == 1


async def test_a_call_that_temporal_gave_up_is_cut_too(world: World) -> None:
    """Temporal cancels an activity once: for the timeout, so not again when the grace is over."""
    script = held_script()
    async with working(world, cached_workflows=100, grace_seconds=0.5) as stop:
        job = await world.start(script, timing=replace(QUICK_TIMING, submit_timeout_seconds=1))
        await asyncio.wait_for(script.begun.wait(), scaled(20))
        await eventually(partial(is_in, job, "unknown"))
        # The worker learns it with its next heartbeat.
        await asyncio.sleep(scaled(3))
        stop.set()
    assert await state(job) == "unknown"


async def test_what_begins_after_the_stop_is_given_to_another_worker(world: World) -> None:
    """Begin a submit on a worker that stops: it is refused before the row or the provider is touched."""
    script = Script(submits=[ProviderJob("job-1", {})])
    async with working(world, cached_workflows=100, grace_seconds=scaled(20)) as stop:
        busy = held_script()
        first = await world.start(busy)
        await asyncio.wait_for(busy.begun.wait(), scaled(20))
        stop.set()
        second = await world.start(script)
        await asyncio.sleep(1)
        assert not script.begun.is_set()
        busy.submit_release.set()
    assert await second.attempts() == {}
    async with working(world, cached_workflows=100):
        await eventually(script.begun.is_set, timeout_seconds=20)
        for job in (first, second):
            await job.webhook(success("one"))
            assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED


def test_older_workflows_requests_are_read() -> None:
    """Read what a workflow of the version before passes: an attempt, without how it wants to be told."""
    assert SubmitRequest(generation_id="gen", ordinal=2).gives_back_slot is False
