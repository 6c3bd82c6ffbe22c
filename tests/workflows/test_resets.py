"""Runs that an operator resets or terminates: a new run goes on from what the database knows."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.credits import Balance
from domain.errors import ProviderRefused, ProviderThrottled, ServiceError, WorkflowLost
from domain.generation import Stage, Status, TerminalState
from domain.provider import ProviderJob
from tests.conftest import namespaced_client
from tests.support.eventually import eventually
from tests.support.requests import new_id
from tests.support.scripted import Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World, running_world
from tests.workflows.test_outages import reset, task_ends
from workflows.generation import GenerationWorkflow

CHARGED = Balance(available=6, held=0, spent=4)
FULL, FREE = 1, 10
LOST = TerminalState(Status.FAILED, WorkflowLost.code, attention=WorkflowLost.code)


@pytest.fixture(scope="module")
async def world(servers: Servers, database: Database) -> AsyncIterator[World]:
    client = await namespaced_client(servers, "resets")
    async with running_world(client, database, cached_workflows=100) as world:
        yield world


@pytest.fixture(params=["full", "free"])
async def is_full(world: World, request: pytest.FixtureRequest) -> AsyncIterator[bool]:
    """Leave both providers no slot but the job's own, or plenty."""
    slots = FULL if request.param == "full" else FREE
    world.limits |= {"fal": slots, "replicate": slots}
    yield request.param == "full"
    world.limits.clear()
    await world.books.clear_slots()


async def waiting_behind(world: World, *, is_full: bool) -> list[Job]:
    """Return a job that takes the next slot which is given up, if the provider is full."""
    if not is_full:
        return []
    job = await world.start()
    await eventually(job.is_queued)
    return [job]


async def first_run(job: Job) -> str:
    return (await job.handle.describe()).run_id


async def reset_to(job: Job, event_id: int, run_id: str = "") -> None:
    """Reset from an event of this run, or of the last one; the job goes on in the new run."""
    await reset(job, event_id, run_id)
    job.handle = job.world.client.get_workflow_handle_for(GenerationWorkflow.run, job.id)


async def end_all(jobs: list[Job]) -> None:
    for job in jobs:
        await job.request_cancel()
        await asyncio.wait_for(job.outcome(), scaled(30))


async def test_a_reset_while_generating_goes_on_with_the_job(world: World, is_full: bool) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    behind = await waiting_behind(world, is_full=is_full)
    run_id = await first_run(job)
    for event_id in await task_ends(job):
        await reset_to(job, event_id, run_id)
        await job.reaches(Stage.GENERATING)
    assert [await other.is_queued() for other in behind] == [True] * len(behind)

    await job.webhook(success("one"))

    assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED
    assert len(job.script.submitted) == 1
    assert await job.balance() == CHARGED
    await end_all(behind)


async def test_a_reset_while_storing_settles_what_is_stored(world: World, is_full: bool) -> None:
    address = new_id("result")
    reached, release = world.downloader.releases[address] = (asyncio.Event(), asyncio.Event())
    job = await world.start()
    await job.webhook(success(address))
    await reached.wait()
    events, run_id = await task_ends(job), await first_run(job)
    others = [await world.start() for _ in range(FULL)]
    if is_full:
        for other in others:
            await other.reaches(Stage.GENERATING)
    release.set()
    for event_id in events:
        await reset_to(job, event_id, run_id)

    assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED
    assert await job.transfers() == ["hold", "settle"]
    assert len(job.script.submitted) == 1
    await end_all(others)


@pytest.mark.parametrize("error", [ProviderRefused("no"), ProviderThrottled("429", retry_after_seconds=60)])
async def test_a_reset_after_a_failover_goes_on_at_the_second(
    world: World, is_full: bool, error: ServiceError
) -> None:
    other = Script(submits=[ProviderJob("job-2", {})])
    job = await world.start(Script(submits=[error]), fallback=other)
    await eventually(lambda: other.submitted)
    await job.reaches(Stage.GENERATING)
    at_first = await world.start()  # whoever has the first provider's slot keeps it
    await at_first.reaches(Stage.GENERATING)
    run_id = await first_run(job)
    for event_id in await task_ends(job):
        await reset_to(job, event_id, run_id)

        async def is_at_the_second() -> bool:
            progress = await job.progress()
            return progress.provider_job_id == "job-2"

        await eventually(is_at_the_second, timeout_seconds=20)

    await job.webhook(success("one"), ordinal=2, provider="replicate", job_id="job-2")

    assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED
    assert (len(other.submitted), job.script.begun.is_set()) == (1, True)
    assert {ordinal: row.late_at for ordinal, row in (await job.attempts()).items()} == {1: None, 2: None}
    assert await job.balance() == CHARGED
    await end_all([at_first])


async def test_a_result_during_a_reset_is_not_lost(world: World, is_full: bool) -> None:
    """Report the second provider's success while the new run believes to be at the first."""
    other = Script(submits=[ProviderJob("job-2", {})])
    job = await world.start(Script(submits=[ProviderRefused("no")]), fallback=other)
    await eventually(lambda: other.submitted)
    await job.reaches(Stage.GENERATING)
    await reset_to(job, (await task_ends(job))[0])
    await job.webhook(success("one"), ordinal=2, provider="replicate", job_id="job-2")

    assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED
    assert await job.balance() == CHARGED


async def test_a_reset_of_a_failed_over_job_that_waits_keeps_its_position(world: World) -> None:
    world.limits |= {"replicate": 0}
    other = Script(submits=[ProviderJob("job-2", {})])
    job = await world.start(Script(submits=[ProviderRefused("no")]), fallback=other)
    await eventually(job.is_queued)
    before = await world.slots.queue_position(job.id)
    await reset_to(job, (await task_ends(job))[0])

    async def waits_again() -> bool:
        return (await job.progress()).attempts == 2

    await eventually(waits_again, timeout_seconds=20)
    after = await world.slots.queue_position(job.id)
    assert before is not None
    assert after is not None
    assert after.since == before.since
    await end_all([job])
    world.limits.clear()


async def test_a_terminated_run_whose_images_are_stored_is_settled(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await world.books.store(job.id)
    world.ledger.away.add(job.id)
    await job.webhook(success("one"))
    await job.reaches(Stage.SETTLING)
    await job.handle.terminate("a test")
    world.ledger.away.discard(job.id)

    outcome = await world.ledger.end_lost(job.id, LOST)

    assert outcome is not None
    assert (outcome.status, outcome.images) == (Status.COMPLETED, 1)
    assert await job.balance() == CHARGED
    assert await world.ledger.end_lost(job.id, LOST) is None


async def test_a_terminated_run_without_images_is_refunded(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await job.handle.terminate("a test")

    outcome = await world.ledger.end_lost(job.id, LOST)

    assert outcome is not None
    assert outcome.code == WorkflowLost.code
    assert await job.transfers() == ["hold", "expire"]
