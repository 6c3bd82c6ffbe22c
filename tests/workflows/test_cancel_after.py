"""A job that its client gave a time: canceled when that is over, and paid for as a client's cancel is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from temporalio.client import WorkflowFailureError

from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.controls import CanceledBy, Controls
from domain.credits import Balance
from domain.errors import ModerationUnavailable, SubmitAmbiguous
from domain.generation import Outcome, Stage, Status
from tests.conftest import namespaced_client
from tests.support.deadlines import CHARGES_CANCELS, canceled_after, soon, time_is_over
from tests.support.eventually import eventually
from tests.support.requests import input_of, new_id, request
from tests.support.scripted import Call, Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World, running_world

PRICE = 4
UNTOUCHED = Balance(available=10, held=0, spent=0)
CHARGED = Balance(available=10 - PRICE, held=0, spent=PRICE)
AN_HOUR = 3600


@pytest.fixture(scope="module")
async def world(servers: Servers, database: Database) -> AsyncIterator[World]:
    """Return a world that caches workflows, as a timer and a step may come at once."""
    client = await namespaced_client(servers, "cancel-after")
    async with running_world(client, database, cached_workflows=100) as world:
        yield world


@pytest.fixture(autouse=True)
async def no_limits_afterwards(world: World) -> AsyncIterator[None]:
    yield
    await world.end_all()
    world.limits.clear()
    world.check.error = None
    await world.books.clear_slots()


async def assert_canceled(job: Job, by: CanceledBy = CanceledBy.DEADLINE) -> None:
    generation = await job.generation()
    assert (generation.status, generation.canceled_by) == (Status.CANCELED, by)
    await job.world.books.assert_consistent(job.tenant_id)


async def test_in_the_queue_it_costs_nothing(world: World) -> None:
    world.limits["fal"] = 0
    job = await world.start(asked=canceled_after(soon()))

    outcome = await job.outcome()

    await job.keep_history("canceled_by_its_deadline_in_queue")
    assert outcome == Outcome(job.id, Status.CANCELED)
    await assert_canceled(job)
    assert (await job.balance(), job.script.submitted) == (UNTOUCHED, [])


async def test_a_job_that_no_worker_submits_costs_nothing(world: World) -> None:
    job = await world.start(asked=canceled_after(soon()), provider="unserved")

    assert (await job.outcome()).status is Status.CANCELED
    await assert_canceled(job)
    assert (await job.balance(), await job.transfers()) == (UNTOUCHED, ["hold", "refund"])


async def test_a_job_that_starts_after_its_time_holds_nothing(world: World) -> None:
    tenant_id = await world.books.tenant(10)
    generation_id = await world.books.add(tenant_id, canceled_after(AN_HOUR))
    await world.books.sql(
        "UPDATE generations SET created_at = created_at - interval '1 hour' WHERE id = :id", id=generation_id
    )
    generation = await world.books.read(generation_id)
    job = Job(world, generation_id, tenant_id, Script(), await world.run(input_of(generation)))

    assert (await job.outcome()).status is Status.CANCELED
    await job.keep_history("canceled_by_its_deadline_before_start")
    await assert_canceled(job)
    assert (await job.transfers(), await job.balance()) == ([], UNTOUCHED)


async def test_a_job_whose_time_is_over_during_our_own_check_ends_without_it(world: World) -> None:
    world.check.error = ModerationUnavailable()
    job = await world.start(asked=canceled_after(soon()), checks_input=True)

    assert (await job.outcome()).status is Status.CANCELED
    await job.keep_history("canceled_by_its_deadline_during_the_check")
    await assert_canceled(job)
    assert await job.transfers() == []


async def test_what_the_provider_has_is_called_off_and_paid_for_as_a_cancel(world: World) -> None:
    job = await world.start(asked=canceled_after(soon()))
    await job.reaches(Stage.GENERATING)

    outcome = await job.outcome()

    await job.keep_history("canceled_by_its_deadline_while_generating")
    assert outcome == Outcome(job.id, Status.CANCELED, None, PRICE)
    await assert_canceled(job)
    assert (await job.balance(), job.script.cancels) == (CHARGED, ["job-1"])


async def test_a_model_that_refunds_cancels_refunds_this_one(world: World) -> None:
    controls = Controls(cancel_after_seconds=soon())
    job = await world.start(asked=request(controls=controls))

    assert (await job.outcome()).status is Status.CANCELED
    await assert_canceled(job)
    assert (await job.balance(), job.script.cancels) == (UNTOUCHED, ["job-1"])


async def test_an_unknown_submit_is_never_charged(world: World) -> None:
    job = await world.start(Script(submits=[SubmitAmbiguous()]), asked=canceled_after(soon()))
    await job.reaches(Stage.SUBMIT_UNKNOWN)

    assert await job.outcome() == Outcome(job.id, Status.CANCELED)
    await assert_canceled(job)
    assert (await job.generation()).needs_attention == "submit_unknown"
    assert await job.balance() == UNTOUCHED


async def test_a_submit_in_flight_is_not_cut(world: World) -> None:
    call = Call()
    call.release.clear()
    job = await world.start(call=call, asked=canceled_after(soon()))
    await asyncio.wait_for(call.begun.wait(), scaled(20))
    await eventually(lambda: ("refund", job.id) in world.ledger.calls)
    still_held = await job.balance()
    call.release.set()

    assert (await job.outcome()).charged_credits == PRICE  # the call had made the image
    await job.keep_history("canceled_by_its_deadline_during_a_call")
    assert (still_held.held, call.calls) == (PRICE, 1)
    await assert_canceled(job)


async def test_while_storing_it_is_too_late(world: World) -> None:
    address, (reached, gate) = new_id("result"), (asyncio.Event(), asyncio.Event())
    world.downloader.releases[address] = (reached, gate)
    job = await world.start(asked=canceled_after(soon()))
    await job.webhook(success(address))
    await asyncio.wait_for(reached.wait(), scaled(20))
    await time_is_over(job)
    gate.set()

    assert (await job.outcome()).status is Status.COMPLETED
    assert (await job.generation()).canceled_by is None
    assert await job.balance() == CHARGED


async def test_a_job_in_time_is_not_touched(world: World) -> None:
    controls = Controls(cancel_after_seconds=AN_HOUR, start_within_seconds=AN_HOUR)
    job = await world.start(asked=request(controls=controls))
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))

    assert (await job.outcome()).status is Status.COMPLETED
    await job.keep_history("completed_within_the_times_of_its_client")
    assert await job.balance() == CHARGED


async def test_a_clients_own_cancel_comes_first(world: World) -> None:
    job = await world.start(asked=canceled_after(AN_HOUR))
    await job.reaches(Stage.GENERATING)
    await job.request_cancel()

    assert (await job.outcome()).charged_credits == PRICE
    await assert_canceled(job, CanceledBy.CLIENT)


async def test_an_operators_cancel_is_no_deadline_and_costs_nothing(world: World) -> None:
    job = await world.start(asked=canceled_after(AN_HOUR))
    await job.reaches(Stage.GENERATING)
    await job.handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await job.outcome()
    await assert_canceled(job, CanceledBy.OPERATOR)
    assert await job.balance() == UNTOUCHED


async def test_a_clock_of_temporal_that_is_ahead_changes_nothing(world: World) -> None:
    """Let the workflow believe that the time is over while it is not in the database."""
    asked = request(charging=CHARGES_CANCELS, controls=Controls(cancel_after_seconds=AN_HOUR))
    tenant_id = await world.books.tenant(10)
    script = Script()
    world.provider.scripts["ahead"] = script
    generation_id = await world.books.add(tenant_id, replace(asked, prompt="ahead"))
    early = await world.books.read(generation_id)
    early = replace(early, request=replace(asked, controls=Controls(cancel_after_seconds=soon())))
    job = Job(world, generation_id, tenant_id, script, await world.run(input_of(early)))
    await job.reaches(Stage.GENERATING)

    assert (await job.outcome()).charged_credits == PRICE
    await assert_canceled(job)
