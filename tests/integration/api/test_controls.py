"""What a client says of one job: header fields, fields of the body, and how the job shows them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from tests.integration.api.service import MODEL, PRICE, Service, Tenant, unique

_AGE_IMAGES = text("UPDATE generations SET images_expire_at = now() WHERE id = :id")
_PARAMETERS = text("SELECT parameters FROM generations WHERE id = :id")


async def post(tenant: Tenant, prompt: str, *, headers: dict[str, str], **fields: Any) -> httpx.Response:
    body = {"model": MODEL, "prompt": prompt, "size": "512x512", **fields}
    return await tenant.http.post("/v1/generations", json=body, headers=headers)


def moment(job: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(job[name])


async def test_a_job_is_canceled_after_its_time(service: Service, tenant: Tenant) -> None:
    prompt = unique("a heron [sim:hang]")
    posted = (await post(tenant, prompt, headers={"Cancel-After": "1s"})).json()

    job = await tenant.ended(posted["id"])

    assert moment(posted, "cancel_at") - moment(posted, "created_at") == timedelta(seconds=1)
    assert (posted["canceled_by"], posted["start_by"]) == (None, None)
    assert (job["status"], job["canceled_by"], job["error"]) == ("canceled", "deadline", None)
    assert job["cancel_at"] == posted["cancel_at"]
    assert await service.transfers(job["id"]) == ["hold", "refund"]
    assert await tenant.credits() == (100, 0, 0)


async def test_a_job_shows_what_its_client_said(tenant: Tenant) -> None:
    headers = {"Cancel-After": "1h", "Start-Within": "5m"}
    posted = (await post(tenant, unique("a stork"), headers=headers, priority="high")).json()
    plain = await tenant.posted(unique("a crane"))

    job = await tenant.ended(posted["id"])

    assert moment(job, "start_by") - moment(job, "created_at") == timedelta(minutes=5)
    assert (job["status"], job["priority"], job["retry_of"]) == ("completed", "high", None)
    assert (plain["cancel_at"], plain["start_by"], plain["priority"]) == (None, None, "normal")


async def test_a_client_that_cancels_is_named(tenant: Tenant) -> None:
    job = await tenant.posted(unique("a rook [sim:hang]"))
    await tenant.http.post(f"/v1/generations/{job['id']}/cancel")
    assert (await tenant.ended(job["id"]))["canceled_by"] == "client"


@pytest.mark.parametrize("name", ["Cancel-After", "Start-Within"])
@pytest.mark.parametrize("key", [None, "with a key"])
async def test_a_field_that_cannot_be_read_is_refused(
    service: Service, tenant: Tenant, name: str, key: str | None
) -> None:
    headers = {name: "soon <script>"} | ({"Idempotency-Key": key} if key else {})
    refused = await post(tenant, unique("a gull"), headers=headers)

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "invalid_input")
    assert [error["field"] for error in problem["errors"]] == [name]
    assert "soon" not in refused.text
    assert await service.generations_of(tenant) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("priority", value) for value in ("urgent", 1, "HIGH")),
        *(("expires_in", value) for value in (59, 0, -60, 31_536_001, "60", 60.5, True)),
        *(("store_prompt", value) for value in ("no", 0)),
    ],
)
async def test_a_bad_value_in_the_body_is_refused_by_name(
    service: Service, tenant: Tenant, field: str, value: object
) -> None:
    refused = await post(tenant, unique("a tern"), headers={}, **{field: value})
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "invalid_input")
    assert {error["field"] for error in problem["errors"]} == {field}
    assert await service.generations_of(tenant) == 0


async def test_the_model_gets_none_of_it(service: Service, tenant: Tenant) -> None:
    fields = {"priority": "low", "expires_in": 60, "store_prompt": True}
    posted = (await post(tenant, unique("a kite"), headers={"Cancel-After": "1h"}, **fields)).json()
    async with service.database.begin() as session:
        stored = await session.scalar(_PARAMETERS, {"id": posted["id"]})
    assert not {"priority", "expires_in", "store_prompt", "Cancel-After"} & set(stored or ())
    assert (await tenant.ended(posted["id"]))["status"] == "completed"


async def test_a_key_is_of_a_request_with_all_that_was_said(service: Service, tenant: Tenant) -> None:
    prompt, key = unique("an owl"), uuid4().hex
    said = {"Idempotency-Key": key, "Cancel-After": "60s"}
    first = await post(tenant, prompt, headers=said, priority="low")

    same = await post(tenant, prompt, headers={**said, "Cancel-After": "1m"}, priority="low")
    others = [
        await post(tenant, prompt, headers={"Idempotency-Key": key}, priority="low"),
        await post(tenant, prompt, headers={**said, "Cancel-After": "61"}, priority="low"),
        await post(tenant, prompt, headers={**said, "Start-Within": "60"}, priority="low"),
        await post(tenant, prompt, headers=said),
        await post(tenant, prompt, headers=said, priority="low", expires_in=60),
        await post(tenant, prompt, headers=said, priority="low", store_prompt=False),
    ]

    assert (same.status_code, same.json()["id"]) == (202, first.json()["id"])
    assert {(each.status_code, each.json()["code"]) for each in others} == {(422, "idempotency_key_reused")}
    assert await service.generations_of(tenant) == 1


async def test_images_are_gone_when_their_time_is_over(service: Service, tenant: Tenant) -> None:
    posted = (await post(tenant, unique("a swan"), headers={}, expires_in=60)).json()
    job = await tenant.ended(posted["id"])
    path, link = f"/v1/generations/{job['id']}/images/0", job["images"][0]["url"]
    stranger = await service.client(service.url)
    in_time = [await stranger.get(link), await tenant.http.get(path)]
    async with service.database.begin() as session:
        await session.execute(_AGE_IMAGES, {"id": job["id"]})

    assert posted["images_expire_at"] is None
    assert moment(job, "images_expire_at") - moment(job, "finished_at") == timedelta(minutes=1)
    link_end = int(link.partition("signature=")[2].split(".")[1])
    assert link_end - moment(job, "images_expire_at").timestamp() < 1
    assert [answer.status_code for answer in in_time] == [302, 200]
    assert int(in_time[0].headers["location"].partition("X-Amz-Expires=")[2].partition("&")[0]) <= 60
    assert int(in_time[1].headers["cache-control"].partition("max-age=")[2]) <= 60
    for answer in (await stranger.get(link), await tenant.http.get(path), await tenant.http.head(path)):
        assert answer.status_code == 410
    assert (await tenant.get(f"/v1/generations/{job['id']}"))["images"] == []


async def test_a_prompt_that_is_not_to_be_stored_is_null_in_the_end(service: Service, tenant: Tenant) -> None:
    prompt = unique("a wren")
    posted = (await post(tenant, prompt, headers={}, store_prompt=False)).json()
    job = await tenant.ended(posted["id"])

    assert (posted["prompt"], job["prompt"], job["status"]) == (prompt, None, "completed")
    assert len(job["images"]) == 1
    assert (await tenant.get("/v1/generations"))["data"][0]["prompt"] is None
    assert await service.count("SELECT count(*) FROM generations WHERE prompt = :prompt", prompt=prompt) == 0
    assert await tenant.credits() == (100 - PRICE, 0, PRICE)
