"""The reconciler carries out what was accepted while the API could not reach Temporal."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client

from adapters.temporal import TemporalWorkflowClient
from devstack.process.ports import pick_free
from domain.errors import TemporalUnavailable
from tests.integration.api.service import PRICE, Tenant, listening, serving, unique
from tests.integration.reconcile.conftest import Site, delivered, job_at_work
from tests.support.eventually import eventually
from tests.support.requests import generation_input, new_id
from tests.support.time_limits import scaled

# What clients are promised: yes or no, within this time.
ACCEPT_SECONDS = 2.0
# One after the other, these would wait for longer than the second promise allows.
MANY, ACCEPT_MANY_SECONDS = 10, 5.0


@pytest.mark.parametrize("way_of_being_away", ["refusing", "hanging"])
async def test_a_post_is_accepted_at_once_and_started_later(
    site: Site, tenant: Tenant, way_of_being_away: str
) -> None:
    prompt = unique("a bridge")
    away = site.proxy.refusing() if way_of_being_away == "refusing" else site.proxy.hanging()
    # Temporal stays away from the API to the end, so nothing but the reconciler can have started the job.
    async with away:
        async with asyncio.timeout(scaled(ACCEPT_SECONDS)):
            posted = await tenant.posted(prompt)
        had_run = await site.has_run(posted["id"])
        repairs = await site.reconcile()
        job = await tenant.ended(posted["id"])

    assert (posted["status"], had_run) == ("created", False)
    assert repairs == {"started": 1}
    assert job["status"] == "completed"
    assert await site.service.transfers(job["id"]) == ["hold", "settle"]
    assert len(await site.service.fal_log(prompt, "submit_accepted")) == 1
    assert await tenant.credits() == (100 - PRICE, 0, PRICE)


async def test_the_api_finds_temporal_again(site: Site, tenant: Tenant) -> None:
    async with site.proxy.refusing():
        first = await tenant.posted(unique("a ford"))
    second = await tenant.posted(unique("a ferry"))

    assert (await tenant.ended(second["id"]))["status"] == "completed"
    assert await site.reconcile() == {"started": 1}
    assert (await tenant.ended(first["id"]))["status"] == "completed"


async def test_many_posts_while_temporal_hangs_do_not_wait_for_each_other(site: Site, tenant: Tenant) -> None:
    async with site.proxy.hanging():
        async with asyncio.timeout(scaled(ACCEPT_MANY_SECONDS)):
            posted = await asyncio.gather(*(tenant.posted(unique("a queue")) for _ in range(MANY)))
        started = 0
        while started < MANY:  # a run leaves what a busy Temporal is slow to take to the next one
            started += (await site.reconcile())["started"]
        jobs = [await tenant.ended(each["id"]) for each in posted]

    assert started == MANY
    assert {job["status"] for job in jobs} == {"completed"}
    assert await tenant.credits() == (100 - MANY * PRICE, 0, MANY * PRICE)


async def test_an_api_that_starts_without_temporal_accepts_too(site: Site, tenant: Tenant) -> None:
    nowhere = site.service.settings.model_copy(update={"temporal_address": f"127.0.0.1:{pick_free()}"})
    with listening() as listener:
        async with serving(nowhere, listener):
            http = await site.service.client(f"http://127.0.0.1:{listener.getsockname()[1]}")
            http.headers["Authorization"] = tenant.http.headers["Authorization"]
            async with asyncio.timeout(scaled(ACCEPT_SECONDS)):
                posted = await Tenant(tenant.id, tenant.key_id, http).posted(unique("an island"))

    assert posted["status"] == "created"
    assert await site.reconcile() == {"started": 1}
    assert (await tenant.ended(posted["id"]))["status"] == "completed"


async def test_a_cancel_whose_signal_was_lost_is_relayed(site: Site, tenant: Tenant) -> None:
    generation_id = await job_at_work(tenant, unique("a tunnel [sim:hang]"))
    async with site.proxy.hanging():
        async with asyncio.timeout(scaled(ACCEPT_SECONDS)):
            accepted = await tenant.http.post(f"/v1/generations/{generation_id}/cancel")
        repairs = await site.reconcile()
        job = await tenant.ended(generation_id)

    assert accepted.status_code == 202
    assert repairs == {"cancel_relayed": 1}
    assert job["status"] == "canceled"
    assert await site.service.transfers(generation_id) == ["hold", "refund"]
    assert await site.reconcile() == {}


async def test_a_cancel_of_what_was_never_started_needs_no_submit(site: Site, tenant: Tenant) -> None:
    prompt = unique("a viaduct")
    async with site.proxy.hanging():
        generation_id = (await tenant.posted(prompt))["id"]
        await tenant.http.post(f"/v1/generations/{generation_id}/cancel")
        repairs = await site.reconcile()
        job = await tenant.ended(generation_id)

    assert repairs == {"started": 1}
    assert (job["status"], job["cost"]["reserved"]) == ("canceled", 0)
    assert await site.service.fal_log(prompt, "submit_accepted") == []


async def test_a_webhook_whose_signal_was_lost_is_relayed_and_ends_the_job(
    site: Site, tenant: Tenant
) -> None:
    prompt = unique("a causeway [sim:delay_webhook=0.5]")
    generation_id = (await tenant.posted(prompt))["id"]
    await tenant.generating(generation_id)
    async with site.proxy.hanging():
        await eventually(lambda: delivered(site.service, prompt))
        before = (await tenant.get(f"/v1/generations/{generation_id}"))["stage"]
        repairs = await site.reconcile()
        job = await tenant.ended(generation_id)

    assert before == "generating"
    assert repairs == {"webhook_relayed": 1}
    assert job["status"] == "completed"
    assert await site.service.fal_log(prompt, "result_served") == [], "a poll brought the result"
    assert await site.service.inbox_rows(generation_id) == 1
    untold = "SELECT count(*) FROM inbox WHERE generation_id = :id AND relayed_at IS NULL"
    assert await site.service.count(untold, id=generation_id) == 0


async def test_a_start_goes_on_while_temporal_is_busy(site: Site, tenant: Tenant) -> None:
    """Return after a second, and start all the same once Temporal answers."""
    through = await Client.connect(site.proxy.address, namespace=site.temporal.namespace)
    timeout = timedelta(seconds=10)
    busy = TemporalWorkflowClient(through, task_timeout=timeout, background_calls=1)
    jobs = [generation_input(new_id("gen"), tenant.id) for _ in range(2)]
    async with site.proxy.hanging():
        await busy.start_workflow(jobs[0], "one")
        with pytest.raises(TemporalUnavailable):  # there is room for one
            await busy.start_workflow(jobs[1], "two")
        assert not await site.has_run(jobs[0].generation_id)

    await eventually(lambda: site.has_run(jobs[0].generation_id), 20)
    assert not await site.has_run(jobs[1].generation_id)


async def test_a_signal_goes_on_while_temporal_is_busy(site: Site, tenant: Tenant) -> None:
    """Say after a second that it is not known to be received; it is, once Temporal answers."""
    generation_id = await job_at_work(tenant, unique("a culvert [sim:hang]"))
    through = await Client.connect(site.proxy.address, namespace=site.temporal.namespace)
    busy = TemporalWorkflowClient(through, task_timeout=timedelta(seconds=10), background_calls=1)
    async with site.proxy.hanging():
        with pytest.raises(TemporalUnavailable):
            await busy.signal_cancel(generation_id)

    assert (await tenant.ended(generation_id))["status"] == "canceled"
