"""Repeated requests: with an Idempotency-Key, one generation and one hold."""

import asyncio
from functools import partial
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from adapters.database.fingerprints import seal_fingerprints
from api.services.generations import GenerationCommand
from composition.settings import keyring
from domain.fingerprints import fingerprint
from tests.integration.api.service import PRICE, Service, Tenant, unique
from tests.support.eventually import eventually

AT_ONCE = 50
EDIT = "flux-2"


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


async def test_while_the_first_fetches_its_images_others_are_told_so(
    service: Service, tenant: Tenant
) -> None:
    """There is no job yet whose id they could be told; once there is none, the key is free."""
    key = uuid4().hex
    silent = {"model": EDIT, "prompt": "a comet", "inputs": [f"{service.pictures.origin}/silent"]}
    headers = {"Idempotency-Key": key}
    before = service.pictures.connections
    first = asyncio.create_task(tenant.http.post("/v1/generations", json=silent, headers=headers))
    await eventually(lambda: service.pictures.connections > before, 10)
    for body in (silent, silent | {"prompt": "another"}):
        early = await tenant.http.post("/v1/generations", json=body, headers=headers)
        assert (early.status_code, early.json()["code"]) == (409, "idempotency_key_in_use")
        assert (early.headers["Retry-After"], early.headers["X-Should-Retry"]) == ("1", "true")
        assert (early.json()["retryable"], early.json()["charged"]) == (True, False)
    assert (await first).status_code == 422
    assert await service.generations_of(tenant) == 0
    assert (await tenant.post(unique("free again"), key)).status_code == 202


async def test_many_with_images_at_once_make_one_generation(service: Service, tenant: Tenant) -> None:
    picture = f"{service.pictures.origin}/picture"
    body = {"model": EDIT, "prompt": unique("an aurora"), "inputs": [picture]}
    headers = {"Idempotency-Key": uuid4().hex}
    posting = (tenant.http.post("/v1/generations", json=body, headers=headers) for _ in range(20))
    answers = await asyncio.gather(*posting)
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    assert await service.generations_of(tenant) == 1


async def test_a_deleted_job_is_still_what_its_key_made(service: Service, tenant: Tenant) -> None:
    prompt, key = unique("a meteor"), uuid4().hex
    first = (await tenant.post(prompt, key)).json()
    await tenant.ended(first["id"])
    assert (await tenant.http.delete(f"/v1/generations/{first['id']}")).status_code == 204
    again = await tenant.post(prompt, key)
    assert (again.status_code, again.json()["id"], again.json()["prompt"]) == (202, first["id"], None)
    assert again.headers["Idempotent-Replayed"] == again.headers["Idempotency-Replayed"] == "true"
    assert (await tenant.post(f"{prompt}!", key)).json()["code"] == "idempotency_key_reused"
    assert await service.generations_of(tenant) == 1


async def test_nothing_of_a_prompt_can_be_guessed_from_what_is_stored(
    service: Service, tenant: Tenant
) -> None:
    job = (await tenant.post(unique("a secret"), uuid4().hex)).json()
    async with service.database.begin() as session:
        stored = await session.scalar(
            text("SELECT fingerprint FROM generations WHERE id = :id"), {"id": job["id"]}
        )
    assert stored is not None
    assert stored.startswith(f"{keyring(service.settings).current.id}.")


async def test_bare_hashes_of_versions_before_are_sealed(service: Service, tenant: Tenant) -> None:
    prompt, key = unique("an old one"), uuid4().hex
    job = (await tenant.post(prompt, key)).json()
    command = GenerationCommand("flux-schnell", {"prompt": prompt, "size": "512x512"}, {})
    async with service.database.begin() as session:
        await session.execute(
            text("UPDATE generations SET fingerprint = :plain WHERE id = :id"),
            {"plain": command.digest(), "id": job["id"]},
        )
    assert (await tenant.post(prompt, key)).json()["id"] == job["id"]
    seal = partial(fingerprint, keyring(service.settings))
    assert await seal_fingerprints(service.database, seal) >= 1
    assert await seal_fingerprints(service.database, seal) == 0
    assert (await tenant.post(prompt, key)).json()["id"] == job["id"]
    assert (await tenant.post(f"{prompt}!", key)).json()["code"] == "idempotency_key_reused"


async def test_the_preference_is_not_part_of_the_request_and_deadlines_are(tenant: Tenant) -> None:
    body, key = {"model": "flux-schnell", "prompt": unique("a comet")}, uuid4().hex

    async def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Idempotency-Key": key} | named
        return (await tenant.http.post("/v1/generations", json=body, headers=sent)).status_code

    assert await status(Cancel_After="10m", Start_Within="5m") == 202
    assert await status(Cancel_After="600s", Start_Within="300", Prefer="wait=0") == 202
    assert await status(Cancel_After="601s", Start_Within="300") == 422
    assert await status(Cancel_After="600s") == 422


async def test_a_price_above_the_clients_limit_is_refused(service: Service, tenant: Tenant) -> None:
    key = uuid4().hex
    refused = await tenant.post(unique("too dear"), key, n=3, max_cost=3 * PRICE - 1)
    assert (refused.status_code, refused.json()["code"]) == (422, "max_cost_exceeded")
    assert str(3 * PRICE) in refused.json()["detail"]
    assert (refused.json()["retryable"], refused.headers["X-Should-Retry"]) == (False, "false")
    assert await service.generations_of(tenant) == 0
    prompt = unique("just so")
    assert (await tenant.post(prompt, key, n=3, max_cost=3 * PRICE)).status_code == 202
    assert (await tenant.post(prompt, key, n=3)).json()["code"] == "idempotency_key_reused"
    for bad in (-1, 1.5, "3", 2**60):
        assert (await tenant.post(prompt, n=3, max_cost=bad)).status_code == 422
