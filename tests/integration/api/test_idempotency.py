"""Repeated requests: with an Idempotency-Key, one generation and one hold."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from tests.integration.api.service import PRICE, Service, Tenant, unique

AT_ONCE = 50


async def test_fifty_equal_posts_at_once_make_one_generation(service: Service, tenant: Tenant) -> None:
    prompt, key = unique("a comet"), uuid4().hex

    answers = await asyncio.gather(*(tenant.post(prompt, key) for _ in range(AT_ONCE)))

    assert {answer.status_code for answer in answers} == {202}
    (generation_id,) = {answer.json()["id"] for answer in answers}
    replayed = [answer for answer in answers if answer.headers.get("idempotency-replayed") == "true"]
    assert len(replayed) == AT_ONCE - 1
    assert (await tenant.ended(generation_id))["status"] == "completed"
    assert await service.generations_of(tenant) == 1
    assert await service.transfers(generation_id) == ["hold", "settle"]
    assert len(await service.fal_log(prompt, "submit_accepted")) == 1
    assert await tenant.credits() == (100 - PRICE, 0, PRICE)


async def test_a_key_with_another_body_is_refused_without_effect(service: Service, tenant: Tenant) -> None:
    prompt, key = unique("a moon"), uuid4().hex
    first = await tenant.post(prompt, key)
    await tenant.ended(first.json()["id"])
    before = await tenant.credits()

    for fields in ({"n": 2}, {"metadata": {"a": "b"}}, {"model": "flux-dev"}, {"prompt": f"{prompt}!"}):
        body = {"model": "flux-schnell", "prompt": prompt, "size": "512x512", **fields}
        refused = await tenant.http.post("/v1/generations", json=body, headers={"Idempotency-Key": key})
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")

    assert await service.generations_of(tenant) == 1
    assert await tenant.credits() == before
    again = await tenant.post(prompt, key)
    assert again.json()["id"] == first.json()["id"]


async def test_a_body_that_means_the_same_is_the_same(tenant: Tenant) -> None:
    prompt, headers = unique("a star"), {"Idempotency-Key": f'"{uuid4().hex}"'}
    bodies: tuple[dict[str, object], ...] = (
        {"model": "flux-schnell", "prompt": prompt},
        {"prompt": prompt, "seed": None, "model": "flux-schnell", "metadata": {}},
    )

    answers = [await tenant.http.post("/v1/generations", json=body, headers=headers) for body in bodies]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]


async def test_two_tenants_may_use_the_same_key(service: Service, tenant: Tenant) -> None:
    prompt, key, other = unique("a sun"), uuid4().hex, await service.tenant()

    mine, theirs = await tenant.post(prompt, key), await other.post(prompt, key)

    assert mine.json()["id"] != theirs.json()["id"]
    assert "idempotency-replayed" not in theirs.headers
    for owner, answer in ((tenant, mine), (other, theirs)):
        assert (await owner.ended(answer.json()["id"]))["status"] == "completed"
        assert await owner.credits() == (100 - PRICE, 0, PRICE)


async def test_without_a_key_every_post_is_new(service: Service, tenant: Tenant) -> None:
    prompt = unique("a planet")
    first, second = await tenant.posted(prompt), await tenant.posted(prompt)
    assert first["id"] != second["id"]
    assert await service.generations_of(tenant) == 2


@pytest.mark.parametrize(
    "headers",
    [
        [("Idempotency-Key", "")],
        [("Idempotency-Key", '""')],
        [("Idempotency-Key", "k" * 256)],
        [("Idempotency-Key", "caf\xe9")],
        [("Idempotency-Key", "one"), ("Idempotency-Key", "two")],
    ],
    ids=["empty", "empty in quotes", "too long", "not ASCII", "twice"],
)
async def test_a_malformed_key_is_refused(
    service: Service, tenant: Tenant, headers: list[tuple[str, str]]
) -> None:
    body = {"model": "flux-schnell", "prompt": "a comet"}
    raw = httpx.Headers([(name.encode(), value.encode("latin-1")) for name, value in headers])

    refused = await tenant.http.post("/v1/generations", json=body, headers=raw)

    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_invalid")
    assert await service.generations_of(tenant) == 0
