"""Steps that fail for a while, and runs that an operator resets."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from domain.credits import Balance
from domain.errors import ResultExpired, ResultUnavailable, ServiceError, StorageUnavailable
from domain.generation import Stage, Status
from tests.support.eventually import eventually
from tests.support.requests import QUICK_TIMING, new_id
from tests.support.scripted import Script, success
from tests.support.time_limits import scaled
from tests.support.world import Job, World
from workflows.generation import GenerationWorkflow

CHARGED = Balance(available=6, held=0, spent=4)


async def activity_types(job: Job) -> list[str]:
    """Return the ordinary activities in the order in which they were scheduled."""
    history = await job.handle.fetch_history()
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]


async def test_a_ledger_that_is_away_for_long_is_waited_for_on_the_server(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await world.books.store(job.id)
    world.ledger.away.add(job.id)
    await job.webhook(success("one"))

    async def waits_on_the_server() -> bool:
        return "settle_credits" in await activity_types(job)

    await eventually(waits_on_the_server, timeout_seconds=20)
    progress = await job.progress()  # answered at once: no workflow task is held meanwhile
    world.ledger.away.discard(job.id)
    outcome = await asyncio.wait_for(job.outcome(), scaled(30))
    await job.keep_history("completed_after_ledger_outage")

    assert progress.stage is Stage.SETTLING
    assert outcome.status is Status.COMPLETED
    assert await job.balance() == CHARGED


async def test_images_are_paid_for_once_the_ledger_is_back(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    world.ledger.away.add(job.id)
    await job.webhook(success("one"))
    await eventually(lambda: world.ledger.calls.count(("complete", job.id)) > 1, timeout_seconds=20)
    world.ledger.away.discard(job.id)

    outcome = await asyncio.wait_for(job.outcome(), scaled(30))
    assert (outcome.status, outcome.images) == (Status.COMPLETED, 1)
    assert await job.balance() == CHARGED


async def test_storing_is_tried_again_while_the_store_is_away(world: World) -> None:
    address = new_id("result")
    world.downloader.failures[address] = StorageUnavailable()
    job = await world.start()
    await job.webhook(success(address))
    await job.reaches(Stage.STORING)
    del world.downloader.failures[address]

    assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED
    assert await job.balance() == CHARGED


@pytest.mark.parametrize("error", [ResultUnavailable("503"), ResultExpired("404")])
async def test_a_result_is_fetched_as_long_as_it_may_live(world: World, error: ServiceError) -> None:
    address = new_id("result")
    world.downloader.failures[address] = error
    world.result_lifetimes["fal"] = 3600
    job = await world.start(Script(polls=[success(address)]))
    await job.webhook(success(address))

    async def is_retried() -> bool:
        described = await job.handle.describe()
        pending = described.raw_description.pending_activities
        return any(activity.attempt > 2 for activity in pending)

    await eventually(is_retried, timeout_seconds=20)
    del world.downloader.failures[address]

    assert (await asyncio.wait_for(job.outcome(), scaled(30))).status is Status.COMPLETED
    world.result_lifetimes["fal"] = 0.0


@pytest.mark.parametrize("error", [ResultUnavailable("503"), ResultExpired("404")])
async def test_a_result_that_must_be_gone_fails_flagged(world: World, error: ServiceError) -> None:
    address = new_id("result")
    world.downloader.failures[address] = error
    job = await world.start(Script(polls=[success(address)]))
    await job.webhook(success(address))

    assert (await job.outcome()).code == ResultExpired.code
    assert (await job.generation()).needs_attention == ResultExpired.code
    assert (await job.balance()).held == 0


async def reset(job: Job, event_id: int, run_id: str = "") -> None:
    """Reset as an operator does in the Temporal UI: a new run replays up to the event."""
    client = job.world.client
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=job.id, run_id=run_id),
            reason="test",
            workflow_task_finish_event_id=event_id,
            request_id=new_id("reset"),
        )
    )


async def task_ends(job: Job) -> list[int]:
    """Return the events that a reset may go back to."""
    history = await job.handle.fetch_history()
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [event.event_id for event in history.events if event.event_type == completed]


async def test_a_reset_of_an_ended_run_to_any_point_repeats_no_effect(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))
    first, first_run = await job.outcome(), (await job.handle.describe()).run_id
    for event_id in await task_ends(job):
        await reset(job, event_id, first_run)
        again = world.client.get_workflow_handle_for(GenerationWorkflow.run, job.id)
        assert await again.result() == first

    assert len(job.script.submitted) == 1
    assert await job.transfers() == ["hold", "settle"]
    assert (await job.generation()).outcome == first


async def test_a_reset_run_continues_with_the_same_job(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await reset(job, (await task_ends(job))[0])
    job.handle = world.client.get_workflow_handle_for(GenerationWorkflow.run, job.id)
    await job.webhook(success("one"))
    await job.outcome()

    assert (await job.generation()).outcome.status is Status.COMPLETED
    assert len(job.script.submitted) == 1
    assert await job.balance() == CHARGED


async def test_a_reset_after_a_refund_neither_holds_nor_submits_again(world: World) -> None:
    job = await world.start(Script())
    await job.reaches(Stage.GENERATING)
    await job.request_cancel()
    await job.outcome()
    await reset(job, (await task_ends(job))[0])
    await world.client.get_workflow_handle(job.id).result()

    assert await job.transfers() == ["hold", "refund"]
    assert len(job.script.submitted) == 1


async def test_an_accepted_job_is_not_lost_to_a_failover_of_the_database(world: World) -> None:
    script = Script(polls=[success("one")])
    script.submit_release.clear()
    job = await world.start(script, timing=replace(QUICK_TIMING, first_poll_seconds=0.2))
    world.attempts.lost[job.id] = 2
    script.submit_release.set()

    assert (await job.outcome()).status is Status.COMPLETED
    assert len(script.submitted) == 1
    assert world.attempts.lost[job.id] == 0
