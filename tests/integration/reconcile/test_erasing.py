"""What clients delete, and what was kept long enough, goes from the database and from the bucket."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from adapters.database.engine import Database
from adapters.database.erasure import request_erasure
from adapters.database.retention import set_retention
from domain.audit import Actor
from domain.retention import DataKind
from tests.integration.api.pictures import PICTURE
from tests.integration.api.service import PRICE, Tenant, unique
from tests.integration.reconcile.conftest import Site, job_at_work
from tests.integration.reconcile.test_sweeping import keys

OPERATOR = Actor("ada@desk", "asked for by mail")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def completed(tenant: Tenant, prompt: str, **fields: Any) -> dict[str, Any]:
    return await tenant.ended((await tenant.posted(prompt, **fields))["id"])


async def holds(site: Site, word: str) -> list[str]:
    """Return the tables in which the word stands, in any column."""
    found = []
    async with site.service.database.begin() as session:
        tables = await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        for table in tables.all():
            count = text(f"SELECT count(*) FROM {table} AS r WHERE r::text LIKE :word")  # noqa: S608
            if await session.scalar(count, {"word": f"%{word}%"}):
                found.append(str(table))
    return sorted(found)


async def test_a_deleted_job_is_erased_and_its_cost_stays(site: Site, tenant: Tenant) -> None:
    ours, word = site.service.settings, unique("canary").replace(" ", "-")
    key = unique("key")
    posted = await tenant.post(word, key=key, metadata={"customer": word})
    job = await tenant.ended(posted.json()["id"])
    other = await completed(tenant, unique("another"))
    stranger = await site.service.client(site.service.url)
    assert (await stranger.get(job["images"][0]["url"])).status_code == 302
    signed = (await stranger.get(job["images"][0]["url"])).headers["location"]
    assert (await stranger.get(signed)).status_code == 200

    for _ in range(2):
        assert (await tenant.http.delete(f"/v1/generations/{job['id']}")).status_code == 204

    assert await holds(site, word) == []
    after = await tenant.get(f"/v1/generations/{job['id']}")
    assert (after["status"], after["prompt"], after["metadata"], after["images"]) == (
        *("completed", None, {}, []),
    )
    assert (after["cost"]["charged"], after["deleted_at"] is not None) == (PRICE, True)
    for answer in (
        await stranger.get(job["images"][0]["url"]),
        await tenant.http.get(f"/v1/generations/{job['id']}/images/0"),
    ):
        assert refusal(answer) == (410, "image_erased")
    assert [found["id"] for found in (await tenant.get("/v1/generations"))["data"]] == [other["id"]]
    # A repeat of the request makes no other one.
    replayed = await tenant.post(word, key=key, metadata={"customer": word})
    assert (replayed.status_code, replayed.json()["id"]) == (202, job["id"])

    assert (await site.reconcile())["orphaned_objects_deleted"] == 1
    assert keys(ours, tenant) == [f"{tenant.id}/{other['id']}/0"]
    assert (await stranger.get(signed)).status_code == 404
    assert await tenant.credits() == (100 - 2 * PRICE, 0, 2 * PRICE)


async def test_what_is_open_or_another_tenants_cannot_be_deleted(site: Site, tenant: Tenant) -> None:
    job = await job_at_work(tenant, unique("a mill [sim:hang]"))
    assert refusal(await tenant.http.delete(f"/v1/generations/{job}")) == (409, "not_terminal")
    other = await site.service.tenant()
    assert refusal(await other.http.delete(f"/v1/generations/{job}")) == (404, "generation_not_found")
    assert refusal(await other.http.delete("/v1/generations/gen_0")) == (404, "generation_not_found")
    await tenant.http.post(f"/v1/generations/{job}/cancel")
    await tenant.ended(job)
    assert (await tenant.http.delete(f"/v1/generations/{job}")).status_code == 204


async def test_a_deleted_file_goes_from_the_bucket(site: Site, tenant: Tenant) -> None:
    ours = site.service.settings
    file = (await tenant.http.post("/v1/files", files={"file": PICTURE})).json()
    other = await site.service.tenant()
    assert refusal(await other.http.delete(f"/v1/files/{file['id']}")) == (404, "file_not_found")
    body = {"model": "flux-kontext", "prompt": unique("x [sim:hang]"), "inputs": [file["id"]]}
    job = (await tenant.http.post("/v1/generations", json=body)).json()
    assert refusal(await tenant.http.delete(f"/v1/files/{file['id']}")) == (409, "file_in_use")
    await tenant.generating(job["id"])
    await tenant.http.post(f"/v1/generations/{job['id']}/cancel")
    await tenant.ended(job["id"])

    assert (await tenant.http.delete(f"/v1/files/{file['id']}")).status_code == 204
    for answer in (
        await tenant.http.get(f"/v1/files/{file['id']}"),
        await tenant.http.delete(f"/v1/files/{file['id']}"),
    ):
        assert refusal(answer) == (404, "file_not_found")
    await site.reconcile()
    assert keys(ours, tenant) == []


async def test_images_go_after_their_time_and_the_job_stays(site: Site, tenant: Tenant) -> None:
    job = await completed(tenant, unique("a dune"))
    await set_retention(site.service.database, tenant.id, {DataKind.IMAGES: 0.5}, by=OPERATOR)
    assert "images_erased" not in await site.reconcile()
    await end_a_day_ago(site, job["id"])

    repairs = await site.reconcile()

    assert (repairs["images_erased"], repairs["orphaned_objects_deleted"]) == (1, 1)
    after = await tenant.get(f"/v1/generations/{job['id']}")
    assert (after["prompt"], after["images"], after["deleted_at"]) == (job["prompt"], [], None)
    assert after["images_erased_at"] is not None
    assert refusal(await tenant.http.get(f"/v1/generations/{job['id']}/images/0")) == (410, "image_erased")
    assert keys(site.service.settings, tenant) == []
    assert await site.reconcile() == {}


async def test_an_erased_tenant_is_gone_but_for_its_books(site: Site) -> None:
    tenant, word = await site.service.tenant(), unique("canary").replace(" ", "-")
    job = await completed(tenant, word)
    open_id = await job_at_work(tenant, f"{word} [sim:hang]")
    await tenant.http.post("/v1/files", files={"file": PICTURE})

    assert await request_erasure(site.service.database, tenant.id, by=OPERATOR) == 1
    assert (await tenant.http.get("/v1/credits")).status_code == 401
    stranger = await site.service.client(site.service.url)
    assert refusal(await stranger.get(job["images"][0]["url"])) == (403, "tenant_suspended")

    async with asyncio.timeout(60):
        while not await site.service.count(
            "SELECT count(*) FROM tenants WHERE id = :id AND erased_at IS NOT NULL", id=tenant.id
        ):
            await site.reconcile()

    assert await holds(site, word) == []
    assert keys(site.service.settings, tenant) == []
    canceled = await site.row(open_id)
    assert (canceled.status, canceled.refunded_credits) == ("canceled", PRICE)
    spent = "SELECT balance_credits FROM accounts WHERE tenant_id = :id AND kind = 'spent'"
    assert await site.service.count(spent, id=tenant.id) == PRICE


async def end_a_day_ago(site: Site, generation_id: str) -> None:
    """Change what a trigger keeps from being changed, with the rights of the tables' owner."""
    url = site.service.settings.migration_database_url
    assert url is not None
    owner = Database(url.get_secret_value(), pool_size=1)
    async with owner.begin() as session:
        await session.execute(text("ALTER TABLE generations DISABLE TRIGGER generations_forward"))
        await session.execute(
            text("UPDATE generations SET finished_at = now() - interval '1 day' WHERE id = :id"),
            {"id": generation_id},
        )
        await session.execute(text("ALTER TABLE generations ENABLE TRIGGER generations_forward"))
    await owner.close()


@pytest.mark.parametrize("path", ["/v1/generations/gen_0", "/v1/files/file_0"])
async def test_deleting_takes_from_the_allowance_of_cancels(tenant: Tenant, path: str) -> None:
    answer = await tenant.http.delete(path)
    assert answer.status_code == 404
    assert answer.headers["ratelimit"].startswith('"cancel";')
