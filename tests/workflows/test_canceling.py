"""Cancels, by a client and by Temporal itself, at every step."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from domain.credits import Balance
from domain.errors import SubmitAmbiguous
from domain.generation import Outcome, Stage, Status
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING, new_id
from tests.support.scripted import Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World

REFUNDED = Balance(available=10, held=0, spent=0)
CHARGED = Balance(available=6, held=0, spent=4)


async def ended(job: Job) -> Status:
    """Return the outcome's status; a run that Temporal canceled has none."""
    try:
        return (await job.outcome()).status
    except WorkflowFailureError as error:
        if isinstance(error.cause, CancelledError):
            return Status.CANCELED
        raise


async def cancel(job: Job, by: str) -> None:
    if by == "client":
        await job.request_cancel()
    else:
        await job.handle.cancel()


async def test_a_job_canceled_before_it_started_holds_nothing(world: World) -> None:
    job = await world.start(cancel_first=True)
    outcome = await job.outcome()
    await job.keep_history("canceled_before_start")

    assert outcome == Outcome(job.id, Status.CANCELED)
    assert (await job.transfers(), job.script.submitted) == ([], [])


@pytest.mark.parametrize("by", ["client", "temporal"])
async def test_a_cancel_in_the_queue_leaves_the_queue(world: World, by: str) -> None:
    job = await world.start(provider="unserved")  # no worker serves this provider's queue
    await job.reaches(Stage.THROTTLED)
    await cancel(job, by)
    status = await ended(job)
    await job.keep_history(f"canceled_in_queue_by_{by}")

    assert status is Status.CANCELED
    assert await job.balance() == REFUNDED


@pytest.mark.parametrize("by", ["client", "temporal"])
async def test_a_cancel_during_the_submit_waits_for_its_end(world: World, by: str) -> None:
    job = await world.start(Script(submit_release=asyncio.Event()))
    await asyncio.wait_for(job.script.begun.wait(), scaled(20))
    await cancel(job, by)
    await eventually(lambda: ("refund", job.id) in world.ledger.calls)
    still_held = await job.balance()
    job.script.submit_release.set()
    status = await ended(job)
    await job.keep_history(f"canceled_during_submit_by_{by}")

    assert still_held == Balance(available=6, held=4, spent=0)
    assert status is Status.CANCELED
    assert job.script.cancels == ["job-1"]
    assert await job.balance() == REFUNDED


@pytest.mark.parametrize("by", ["client", "temporal"])
async def test_a_cancel_while_generating_calls_the_provider_off_and_refunds(world: World, by: str) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await cancel(job, by)
    status = await ended(job)
    await job.keep_history(f"canceled_while_generating_by_{by}")

    assert status is Status.CANCELED
    assert job.script.cancels == ["job-1"]
    assert await job.balance() == REFUNDED


async def test_a_cancel_of_an_unknown_submit_is_flagged(world: World) -> None:
    job = await world.start(Script(submits=[SubmitAmbiguous()]))
    await job.reaches(Stage.SUBMIT_UNKNOWN)
    await job.request_cancel()

    assert (await job.outcome()).status is Status.CANCELED
    assert (await job.generation()).needs_attention == "submit_unknown"
    assert await job.balance() == REFUNDED


async def test_a_cancel_that_was_accepted_wins_over_a_result_that_comes_with_it(world: World) -> None:
    job = await world.start(Script(submit_release=asyncio.Event()))
    await asyncio.wait_for(job.script.begun.wait(), scaled(20))
    await job.request_cancel()
    await job.webhook(success("one"))
    job.script.submit_release.set()

    assert (await job.outcome()).status is Status.CANCELED
    assert await job.balance() == REFUNDED
    assert f"{job.tenant_id}/{job.id}/0" not in world.store.objects


async def test_a_recorded_cancel_without_a_signal_stops_storing(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await world.books.cancel(job.id)  # Temporal was away when the API wanted to signal
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.CANCELED
    assert await job.balance() == REFUNDED


@pytest.mark.parametrize("by", ["client", "temporal"])
async def test_a_cancel_while_storing_is_too_late(world: World, by: str) -> None:
    address, (reached, gate) = new_id("result"), (asyncio.Event(), asyncio.Event())
    world.downloader.releases[address] = (reached, gate)
    job = await world.start()
    await job.webhook(success(address))
    await asyncio.wait_for(reached.wait(), scaled(20))
    await cancel(job, by)
    gate.set()

    assert (await job.outcome()).status is Status.COMPLETED
    assert await job.balance() == CHARGED


@pytest.mark.parametrize("by", ["client", "temporal"])
async def test_a_cancel_while_settling_strands_nothing(world: World, by: str) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await world.books.store(job.id)
    world.ledger.away.add(job.id)
    await job.webhook(success("one"))
    await eventually(lambda: ("settle", job.id) in world.ledger.calls)
    await cancel(job, by)
    world.ledger.away.discard(job.id)
    outcome = await job.outcome()
    await job.keep_history(f"canceled_while_settling_by_{by}")

    assert outcome.status is Status.COMPLETED
    assert await job.balance() == CHARGED


@pytest.mark.parametrize("by", ["client", "temporal"])
async def test_a_cancel_while_refunding_changes_nothing(world: World, by: str) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    world.ledger.away.add(job.id)
    await job.request_cancel()
    await eventually(lambda: ("refund", job.id) in world.ledger.calls)
    await cancel(job, by)
    world.ledger.away.discard(job.id)

    assert await ended(job) is Status.CANCELED
    assert await job.balance() == REFUNDED


async def test_a_cancel_while_reserving_returns_what_was_held(world: World) -> None:
    job = await world.start(ledger_is_away=True)
    await eventually(lambda: ("reserve", job.id) in world.ledger.calls)
    await job.handle.cancel()
    world.ledger.away.discard(job.id)

    assert await ended(job) is Status.CANCELED
    assert await job.balance() == REFUNDED


async def test_a_second_cancel_is_as_good_as_one(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    for _ in range(3):
        await job.handle.signal("request_cancel")
    await job.handle.signal("request_cancel", args=["of", {"a": "wrong"}, "shape"])

    assert (await job.outcome()).status is Status.CANCELED
    assert job.script.cancels == ["job-1"]


async def test_cancel_and_deadline_both_are_one_refund(world: World) -> None:
    quick = replace(QUICK_TIMING, first_poll_seconds=0.2, deadline_seconds=0.5)
    job = await world.start(timing=quick)
    await job.reaches(Stage.GENERATING)
    await job.request_cancel()

    assert (await job.outcome()).status in (Status.CANCELED, Status.FAILED)
    assert await job.balance() == REFUNDED
