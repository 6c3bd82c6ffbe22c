"""Open generations whose run was terminated or deleted in Temporal, and running ones."""

import asyncio
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from domain.errors import WorkflowLost
from tests.integration.api.service import PRICE, Tenant, unique
from tests.integration.reconcile.conftest import Site, job_at_work
from tests.support.eventually import eventually


async def delete_run(site: Site, generation_id: str) -> None:
    """Delete a run, as an operator or the retention does."""
    await site.temporal.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=site.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=generation_id),
        ),
        timeout=timedelta(seconds=10),
    )

    async def is_gone() -> bool:
        return not await site.has_run(generation_id)

    await eventually(is_gone, 20)


async def test_a_terminated_run_is_refunded_canceled_and_flagged(site: Site, tenant: Tenant) -> None:
    prompt = unique("a castle [sim:hang]")
    generation_id = await job_at_work(tenant, prompt)
    await site.run(generation_id).terminate("a test")

    repairs = await site.reconcile()

    job, row = await tenant.ended(generation_id), await site.row(generation_id)
    assert repairs == {"workflow_lost": 1}
    assert (job["status"], job["error"]["code"]) == ("failed", WorkflowLost.code)
    assert row.needs_attention == WorkflowLost.code
    assert await site.service.transfers(generation_id) == ["expire", "hold"]
    assert await tenant.credits() == (100, 0, 0)
    assert [entry["status"] for entry in await site.service.fal_log(prompt, "cancel")] == [202]
    assert await site.reconcile() == {}


async def test_a_terminated_run_that_was_to_be_canceled_is_canceled(site: Site, tenant: Tenant) -> None:
    prompt = unique("a keep [sim:hang]")
    generation_id = await job_at_work(tenant, prompt)
    async with site.proxy.hanging():
        await tenant.http.post(f"/v1/generations/{generation_id}/cancel")
        await site.run(generation_id).terminate("a test")
        repairs = await site.reconcile()

    job, row = await tenant.ended(generation_id), await site.row(generation_id)
    assert repairs == {"workflow_lost": 1}
    assert (job["status"], job["error"]) == ("canceled", None)
    assert row.needs_attention == WorkflowLost.code
    assert await site.service.transfers(generation_id) == ["hold", "refund"]
    assert await tenant.credits() == (100, 0, 0)
    assert len(await site.service.fal_log(prompt, "cancel")) == 1


async def test_two_reconcilers_at_once_refund_once(site: Site, tenant: Tenant) -> None:
    ids = [await job_at_work(tenant, unique("a tower [sim:hang]")) for _ in range(3)]
    for generation_id in ids:
        await site.run(generation_id).terminate("a test")

    await asyncio.gather(site.reconcile(), site.reconcile())

    assert [await site.service.transfers(each) for each in ids] == [["expire", "hold"]] * len(ids)
    assert await tenant.credits() == (100, 0, 0)


async def test_a_deleted_run_is_started_again_and_adopts_its_job(site: Site, tenant: Tenant) -> None:
    prompt = unique("a moat [sim:drop_webhook]")
    generation_id = await job_at_work(tenant, prompt)
    await delete_run(site, generation_id)

    repairs = await site.reconcile()
    job = await tenant.ended(generation_id)

    assert repairs == {"started": 1}
    assert job["status"] == "completed"
    assert len(await site.service.fal_log(prompt, "submit_accepted")) == 1
    assert await site.service.transfers(generation_id) == ["hold", "settle"]
    assert await tenant.credits() == (100 - PRICE, 0, PRICE)
    assert await site.reconcile() == {}


async def test_a_running_workflow_is_left_alone(site: Site, tenant: Tenant) -> None:
    prompt = unique("a gate [sim:hang]")
    generation_id = await job_at_work(tenant, prompt)

    repairs = await site.reconcile()

    assert repairs == {}
    assert (await site.row(generation_id)).needs_attention is None
    assert (await tenant.get(f"/v1/generations/{generation_id}"))["stage"] == "generating"
    assert await tenant.credits() == (100 - PRICE, PRICE, 0)
    assert await site.service.fal_log(prompt, "cancel") == []
    await tenant.http.post(f"/v1/generations/{generation_id}/cancel")
    assert (await tenant.ended(generation_id))["status"] == "canceled"
