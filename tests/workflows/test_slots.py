"""A workflow that waits for a slot takes no step until it is signaled."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.generation import Outcome, Stage, Status
from domain.provider import AttemptRef
from tests.conftest import namespaced_client
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING
from tests.support.scripted import success
from tests.support.world import World, running_world


@pytest.fixture(scope="module")
async def world(servers: Servers, database: Database) -> AsyncIterator[World]:
    """Return a world that caches workflows, as two run at once here.

    Without a cache, a task of one evicts the other in the middle of its local activity, and the server gives
    that one's task out again only after its timeout.
    """
    client = await namespaced_client(servers, "slots")
    async with running_world(client, database, cached_workflows=100) as world:
        yield world


@pytest.fixture(autouse=True)
async def no_limits_afterwards(world: World) -> AsyncIterator[None]:
    """Remove all limits and slots, as tests share the world."""
    yield
    world.limits.clear()
    await world.books.clear_slots()


async def test_a_job_waits_for_a_slot_and_is_signaled(world: World) -> None:
    world.limits["fal"] = 1
    first = await world.start()
    await first.reaches(Stage.GENERATING)
    second = await world.start()
    await eventually(second.is_queued)
    assert not second.script.begun.is_set()

    await first.webhook(success("one"))
    await second.reaches(Stage.GENERATING)
    await second.webhook(success("two"))

    assert [(await job.outcome()).status for job in (first, second)] == [Status.COMPLETED] * 2
    await second.keep_history("completed_after_waiting_for_a_slot")


async def test_a_refund_passes_the_slot_on(world: World) -> None:
    world.limits["fal"] = 1
    first = await world.start()
    await first.reaches(Stage.GENERATING)
    second = await world.start()
    await eventually(second.is_queued)

    await first.request_cancel()

    assert (await first.outcome()).status is Status.CANCELED
    await second.reaches(Stage.GENERATING)
    await second.request_cancel()
    await second.outcome()


async def test_a_queued_job_can_be_canceled(world: World) -> None:
    world.limits["fal"] = 0
    job = await world.start()
    await eventually(job.is_queued)

    await job.request_cancel()

    outcome = await job.outcome()
    await job.keep_history("canceled_while_waiting_for_a_slot")
    assert outcome == Outcome(job.id, Status.CANCELED)
    assert not job.script.begun.is_set()
    assert (await job.balance()).held == 0


async def test_a_job_does_not_wait_forever(world: World) -> None:
    world.limits["fal"] = 0
    timing = replace(QUICK_TIMING, queue_timeout_seconds=0.5)
    job = await world.start(timing=timing)

    outcome = await job.outcome()

    await job.keep_history("queue_timed_out_without_a_slot")
    assert outcome == Outcome(job.id, Status.FAILED, "queue_timed_out")
    assert (await job.balance()).held == 0


async def test_a_slot_of_another_attempt_is_ignored(world: World) -> None:
    world.limits["fal"] = 0
    job = await world.start()
    await eventually(job.is_queued)
    for strange in ({"ordinal": 2}, {"ordinal": "1"}, None, "slot"):
        await job.handle.signal("grant_place", strange)
    assert (await job.progress()).stage == Stage.THROTTLED
    assert not job.script.begun.is_set()

    await job.handle.signal("grant_place", AttemptRef(job.id))
    await job.reaches(Stage.GENERATING)
    await job.request_cancel()
    await job.outcome()
