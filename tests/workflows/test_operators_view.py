"""What an operator sees in the Temporal UI, read back from the server."""

import json
from dataclasses import asdict

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.common import SearchAttributeKey

from domain import temporal_names
from domain.generation import Stage
from tests.support.eventually import eventually
from tests.support.scripted import success
from tests.support.world import Job, World

OWN_EVENTS = 14  # start, a marker, two activities, timer, signal, two upserts, end; 4 looks make 26


async def metadata(job: Job) -> str:
    """Return what the UI requests from a worker: current details, descriptions of signals and queries."""
    client = job.world.client
    answer = await client.workflow_service.query_workflow(
        QueryWorkflowRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=job.id),
            query=WorkflowQuery(query_type="__temporal_workflow_metadata"),
        )
    )
    return answer.query_result.payloads[0].data.decode()


async def test_attributes_memo_and_summary_are_readable_without_a_worker(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    found = await job.handle.describe()
    attributes = {
        name: found.typed_search_attributes.get(SearchAttributeKey.for_keyword(name))
        for name in temporal_names.SEARCH_ATTRIBUTES
    }
    await job.request_cancel()
    await job.outcome()

    assert attributes == {
        "DarkroomTenant": job.tenant_id,
        "DarkroomModel": "flux-schnell",
        "DarkroomProvider": "fal",
        "DarkroomStage": "generating",
    }
    assert await found.memo() == {"tenant_id": job.tenant_id, "model": "flux-schnell"}
    assert await found.static_summary() == f"FLUX.1 [schnell] for {job.tenant_id}"


async def test_operators_can_search_by_stage(world: World) -> None:
    job = await world.start()
    await job.webhook(success("one"))
    await job.outcome()
    query = f"DarkroomTenant='{job.tenant_id}' AND DarkroomStage='completed'"

    async def is_found() -> bool:
        return [run.id async for run in world.client.list_workflows(query)] == [job.id]

    await eventually(is_found)


async def test_current_details_and_descriptions_show_what_it_waits_for(world: World) -> None:
    job = await world.start()
    progress = await job.reaches(Stage.GENERATING)
    told = json.loads(await metadata(job))
    details = told["currentDetails"]
    described = {
        item["name"]: item["description"]
        for kind in ("signalDefinitions", "queryDefinitions")
        for item in told["definition"][kind]
        if not item["name"].startswith("__")
    }
    await job.request_cancel()
    await job.outcome()

    assert "**generating**" in details
    assert "`job-1`" in details
    assert str(progress.next_poll_at) in details
    assert set(described) == {
        "grant_place",
        "provider_closed",
        "report_result",
        "request_cancel",
        "status",
    }
    assert all(described.values())


async def test_the_status_query_returns_stage_attempts_job_and_next_poll(world: World) -> None:
    job = await world.start()
    progress = asdict(await job.reaches(Stage.GENERATING))
    await job.request_cancel()
    await job.outcome()

    assert progress.pop("next_poll_at") < progress.pop("gives_up_at")
    assert progress == {
        "stage": "generating",
        "attempts": 1,
        "provider_job_id": "job-1",
        "polls": 0,
        "pushback_code": None,
        "cancel_requested": False,
    }


async def test_every_activity_and_timer_has_a_summary_and_the_history_is_short(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("one"))
    await job.outcome()
    history = await job.handle.fetch_history()
    kinds = ("activity_task_scheduled_event_attributes", "timer_started_event_attributes")
    summaries = [
        event.user_metadata.summary.data.decode()
        for event in history.events
        if any(event.HasField(kind) for kind in kinds)  # type: ignore[arg-type]  # both are its fields
    ]

    assert summaries == [
        '"Submit attempt 1 to fal"',
        '"Webhook, or poll 1"',
        '"Copy the images to our storage"',
    ]
    # How often a worker was asked to look depends on the moment; what the steps add does not.
    looks = (
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    )
    assert sum(event.event_type not in looks for event in history.events) == OWN_EVENTS


async def test_neither_prompt_nor_address_nor_provider_message_enters_temporal(world: World) -> None:
    job = await world.start()
    await job.reaches(Stage.GENERATING)
    await job.webhook(success("https://results.test/bearer-secret"))
    await job.outcome()
    found = await job.handle.describe()
    everything = (await job.handle.fetch_history()).to_json() + str(found.raw_description)

    assert "secret" not in everything
    assert "results.test" not in everything
