"""Asking again: a new job of the same request, charged and limited like any other."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from domain.auth import Scope
from tests.integration.api.pictures import PICTURE
from tests.integration.api.service import MODEL, PRICE, Service, Tenant, unique

_REQUEST = text(
    "SELECT model, prompt, parameters, metadata, inputs, mask, fallback, n, price_credits,"
    " image_lifetime_seconds, keeps_prompt, priority, cancel_after_seconds, start_within_seconds"
    " FROM generations WHERE id = :id"
)


async def retry(tenant: Tenant, generation_id: str, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await tenant.http.post(f"/v1/generations/{generation_id}/retry", headers=names)


async def stored(service: Service, generation_id: str) -> tuple[Any, ...]:
    """Return all that a generation was asked for, as its row has it."""
    async with service.database.begin() as session:
        return tuple((await session.execute(_REQUEST, {"id": generation_id})).one())


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def ended(tenant: Tenant, prompt: str, **fields: Any) -> dict[str, Any]:
    return await tenant.ended((await tenant.posted(prompt, **fields))["id"])


async def test_the_same_is_made_again_and_paid_for_again(service: Service, tenant: Tenant) -> None:
    body = {"n": 2, "seed": 7, "metadata": {"order": "1"}, "priority": "low", "expires_in": 600}
    first = await ended(tenant, unique("a fir"), **body)

    answer = await retry(tenant, first["id"])
    again = await tenant.ended(answer.json()["id"])

    assert (answer.status_code, answer.headers["location"]) == (202, answer.json()["urls"]["self"])
    assert "retry-after" in answer.headers
    assert "idempotency-replayed" not in answer.headers
    assert (again["status"], again["retry_of"], first["retry_of"]) == ("completed", first["id"], None)
    assert again["id"] != first["id"]
    assert await stored(service, again["id"]) == await stored(service, first["id"])
    assert {image["url"] for image in again["images"]}.isdisjoint(image["url"] for image in first["images"])
    assert await tenant.credits() == (100 - 4 * PRICE, 0, 4 * PRICE)
    assert (await tenant.get(f"/v1/generations/{first['id']}"))["images"] != []


async def test_other_times_may_be_set(tenant: Tenant) -> None:
    first = (
        await tenant.http.post(
            "/v1/generations",
            json={"model": MODEL, "prompt": unique("an elm")},
            headers={"Cancel-After": "1h", "Start-Within": "1h"},
        )
    ).json()
    await tenant.ended(first["id"])

    again = (await retry(tenant, first["id"], Cancel_After="2h")).json()
    bad = await retry(tenant, first["id"], Cancel_After="never")

    assert again["cancel_at"] is not None
    assert (again["cancel_at"], again["start_by"]) > (first["cancel_at"], first["start_by"])
    assert refusal(bad) == (422, "invalid_input")


async def test_an_open_one_cannot_be_made_again(service: Service, tenant: Tenant) -> None:
    job = await tenant.posted(unique("an oak [sim:hang]"))
    assert refusal(await retry(tenant, job["id"])) == (409, "not_terminal")
    await tenant.http.post(f"/v1/generations/{job['id']}/cancel")
    await tenant.ended(job["id"])
    assert (await retry(tenant, job["id"])).status_code == 202
    assert await service.generations_of(tenant) == 2


@pytest.mark.parametrize("way", ["deleted", "prompt not stored"])
async def test_what_is_no_longer_stored_cannot_be_made_again(
    service: Service, tenant: Tenant, way: str
) -> None:
    job = await ended(tenant, unique("an ash"), store_prompt=way == "deleted")
    if way == "deleted":
        await tenant.http.delete(f"/v1/generations/{job['id']}")

    assert refusal(await retry(tenant, job["id"])) == (409, "request_erased")
    assert refusal(await retry(tenant, job["id"], Idempotency_Key=uuid4().hex)) == (409, "request_erased")
    assert await service.generations_of(tenant) == 1


async def test_a_repeat_is_answered_with_the_same_one(service: Service, tenant: Tenant) -> None:
    job, key = await ended(tenant, unique("a yew")), uuid4().hex
    first = await retry(tenant, job["id"], Idempotency_Key=key)
    await tenant.http.delete(f"/v1/generations/{job['id']}")

    repeat = await retry(tenant, job["id"], Idempotency_Key=key)
    other_time = await retry(tenant, job["id"], Idempotency_Key=key, Cancel_After="5m")
    as_create = await tenant.post(unique("a yew"), key)

    assert (repeat.status_code, repeat.json()["id"]) == (202, first.json()["id"])
    assert repeat.headers["idempotency-replayed"] == "true"
    assert refusal(other_time) == refusal(as_create) == (422, "idempotency_key_reused")
    assert await service.generations_of(tenant) == 2


async def test_nobody_else_can(service: Service, tenant: Tenant) -> None:
    job = await ended(tenant, unique("a palm"))
    other, reader = await service.tenant(), await service.tenant(scopes=[Scope.READ_GENERATIONS])

    assert refusal(await retry(other, job["id"])) == (404, "generation_not_found")
    assert refusal(await retry(other, "gen_0")) == (404, "generation_not_found")
    assert refusal(await retry(reader, job["id"])) == (403, "scope_missing")
    assert await service.generations_of(other) == 0


async def test_it_is_refused_like_a_new_one(service: Service) -> None:
    poor = await service.tenant(credits=PRICE)
    job = await ended(poor, unique("a beech"))
    assert refusal(await retry(poor, job["id"])) == (402, "insufficient_credits")


async def test_an_input_that_has_expired_is_named(service: Service, tenant: Tenant) -> None:
    file = (await tenant.http.post("/v1/files", files={"file": PICTURE})).json()
    body = {"model": "flux-kontext", "prompt": unique("a lime [sim:hang]"), "inputs": [file["id"]]}
    job = (await tenant.http.post("/v1/generations", json=body)).json()
    await tenant.http.post(f"/v1/generations/{job['id']}/cancel")
    await tenant.ended(job["id"])
    in_time = await retry(tenant, job["id"])
    await tenant.http.post(f"/v1/generations/{in_time.json()['id']}/cancel")
    await service.expire_file(file["id"])

    refused = await retry(tenant, job["id"])

    assert in_time.json()["inputs"] == [file["id"]]
    assert refusal(refused) == (422, "invalid_input")
    assert [error["field"] for error in refused.json()["errors"]] == ["inputs.0"]


async def test_a_body_is_refused_and_not_ignored(service: Service, tenant: Tenant) -> None:
    """Who sends one wants something else than what the earlier job was."""
    job = await tenant.ended((await tenant.posted(unique("as it was")))["id"])
    url = f"/v1/generations/{job['id']}/retry"
    refused = await tenant.http.post(url, json={"priority": "high"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "body")
    assert await service.generations_of(tenant) == 1
