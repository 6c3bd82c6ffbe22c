"""A provider's limit, as a workflow meets it: it waits without a step, and goes on when it is told."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from domain.errors import ProviderThrottled
from domain.generation import Outcome, Stage, Status
from domain.provider import AttemptRef, ProviderJob
from tests.support.eventually import eventually
from tests.support.requests import QUICK_WAITS
from tests.support.scripted import Script, success
from tests.support.world import World


@pytest.fixture(autouse=True)
def open_doors(world: World) -> Iterator[None]:
    """The world is shared: whoever comes after finds no limit."""
    yield
    world.gate.places.clear()
    world.gate.pauses.clear()


async def test_a_job_waits_for_a_place_and_is_woken(world: World) -> None:
    world.gate.places["fal"] = 1
    first = await world.start()
    await first.reaches(Stage.GENERATING)
    second = await world.start()
    await eventually(lambda: AttemptRef(second.id) in world.gate.waiting)
    assert not second.script.begun.is_set()

    await first.webhook(success("one"))
    await second.reaches(Stage.GENERATING)
    await second.webhook(success("two"))

    assert [(await job.outcome()).status for job in (first, second)] == [Status.COMPLETED] * 2
    await second.keep_history("completed_after_waiting_for_a_place")


async def test_a_refund_hands_the_place_on(world: World) -> None:
    world.gate.places["fal"] = 1
    first = await world.start()
    await first.reaches(Stage.GENERATING)
    second = await world.start()
    await eventually(lambda: AttemptRef(second.id) in world.gate.waiting)

    await first.request_cancel()

    assert (await first.outcome()).status is Status.CANCELED
    await second.reaches(Stage.GENERATING)
    await second.request_cancel()
    await second.outcome()


async def test_who_waits_can_be_canceled(world: World) -> None:
    world.gate.places["fal"] = 0
    job = await world.start()
    await eventually(lambda: AttemptRef(job.id) in world.gate.waiting)

    await job.request_cancel()

    outcome = await job.outcome()
    await job.keep_history("canceled_while_waiting_for_a_place")
    assert outcome == Outcome(job.id, Status.CANCELED)
    assert not job.script.begun.is_set()
    assert job.balance.held == 0


async def test_nobody_waits_for_ever(world: World) -> None:
    world.gate.places["fal"] = 0
    waits = replace(QUICK_WAITS, queue_timeout_seconds=0.5)
    job = await world.start(waits=waits)

    outcome = await job.outcome()

    await job.keep_history("queue_timed_out_at_the_gate")
    assert outcome == Outcome(job.id, Status.FAILED, "queue_timed_out")
    assert job.balance.held == 0


async def test_a_place_for_another_attempt_lets_nobody_in(world: World) -> None:
    world.gate.places["fal"] = 0
    job = await world.start()
    await eventually(lambda: AttemptRef(job.id) in world.gate.waiting)
    for strange in ({"ordinal": 2}, {"ordinal": "1"}, None, "place"):
        await job.handle.signal("grant_place", strange)
    assert (await job.progress()).stage == Stage.THROTTLED
    assert not job.script.begun.is_set()

    await job.handle.signal("grant_place", AttemptRef(job.id))
    await job.reaches(Stage.GENERATING)
    await job.request_cancel()
    await job.outcome()


async def test_a_429_slows_the_provider_and_not_only_the_job(world: World) -> None:
    throttled = ProviderThrottled("429", retry_after_seconds=0.2)
    job = await world.start(Script(submits=[throttled, ProviderJob("job-1", {})]))
    await job.reaches(Stage.GENERATING)
    assert world.gate.pauses == [("fal", 0.2)]
    await job.request_cancel()
    await job.outcome()
