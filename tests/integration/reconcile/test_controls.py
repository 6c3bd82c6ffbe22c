"""What a client has set is kept, too, where no workflow does it: times, and the life of images."""

from typing import Any

import httpx
from sqlalchemy import text

from domain.errors import WorkflowLost
from tests.integration.api.service import MODEL, Tenant, unique
from tests.integration.reconcile.conftest import Site
from tests.integration.reconcile.test_sweeping import keys
from tests.support.eventually import eventually


async def posted(tenant: Tenant, prompt: str, *, cancel_after: str = "1h", **fields: Any) -> dict[str, Any]:
    response: httpx.Response = await tenant.http.post(
        "/v1/generations",
        json={"model": MODEL, "prompt": prompt, "size": "512x512", **fields},
        headers={"Cancel-After": cancel_after},
    )
    assert response.status_code == 202, response.text
    return dict(response.json())


async def execute(site: Site, statement: str, generation_id: str) -> None:
    async with site.service.database.begin() as session:
        await session.execute(text(statement), {"id": generation_id})


_CANCEL_NOW = "UPDATE generations SET cancel_after_seconds = 0 WHERE id = :id"


async def test_a_terminated_run_whose_time_is_over_is_canceled(site: Site, tenant: Tenant) -> None:
    generation_id = (await posted(tenant, unique("a pier [sim:hang]")))["id"]
    await tenant.generating(generation_id)
    await site.run(generation_id).terminate("a test")
    await execute(site, _CANCEL_NOW, generation_id)

    repairs = await site.reconcile()

    job = await tenant.ended(generation_id)
    assert repairs == {"workflow_lost": 1}
    assert (job["status"], job["canceled_by"], job["error"]) == ("canceled", "deadline", None)
    assert (await site.row(generation_id)).needs_attention == WorkflowLost.code
    assert await site.service.transfers(generation_id) == ["hold", "refund"]
    assert await tenant.credits() == (100, 0, 0)


async def test_a_run_that_does_not_know_its_time_is_told(site: Site, tenant: Tenant) -> None:
    """Such as one that a process of the version before has started."""
    generation_id = (await posted(tenant, unique("a quay [sim:hang]")))["id"]
    await tenant.generating(generation_id)
    assert await site.reconcile() == {}
    await execute(site, _CANCEL_NOW, generation_id)

    assert await site.reconcile() == {"cancel_relayed": 1}

    job = await tenant.ended(generation_id)
    assert (job["status"], job["canceled_by"]) == ("canceled", "deadline")
    assert await tenant.credits() == (100, 0, 0)


async def test_a_run_that_starts_after_its_time_ends_by_the_row(site: Site, tenant: Tenant) -> None:
    async with site.proxy.hanging():  # Temporal is away when the API wants to start it
        generation_id = (await posted(tenant, unique("a jetty"), cancel_after="1s"))["id"]

        async def is_over() -> bool:
            past = "SELECT count(*) FROM generations WHERE id = :id AND is_past_cancel_at(generations)"
            return bool(await site.service.count(past, id=generation_id))

        await eventually(is_over)
        repairs = await site.reconcile()

    job = await tenant.ended(generation_id)
    assert repairs == {"started": 1}
    assert (job["status"], job["canceled_by"]) == ("canceled", "deadline")
    assert await site.service.transfers(generation_id) == []


async def test_images_whose_time_is_over_go_from_the_bucket(site: Site, tenant: Tenant) -> None:
    short, long = [
        await tenant.ended((await posted(tenant, unique("a dock"), expires_in=600))["id"]) for _ in range(2)
    ]
    await execute(site, "UPDATE generations SET images_expire_at = now() WHERE id = :id", short["id"])

    assert await site.reconcile() == {"expired_images_erased": 1, "orphaned_objects_deleted": 1}

    assert keys(site.service.settings, tenant) == [f"{tenant.id}/{long['id']}/0"]
    erased = await tenant.get(f"/v1/generations/{short['id']}")
    assert (erased["images"], erased["images_erased_at"] is not None) == ([], True)
    assert erased["prompt"] is not None
    answer = await tenant.http.get(f"/v1/generations/{short['id']}/images/0")
    assert (answer.status_code, answer.json()["code"]) == (410, "image_erased")
    assert await site.reconcile() == {}
