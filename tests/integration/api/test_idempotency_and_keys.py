"""An Idempotency-Key over a change of master keys, and over routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx

from tests.integration.api.service import MODEL, Service, Tenant, listening, serving, unique

NEW = "the next master key of these tests"


@asynccontextmanager
async def with_keys(
    service: Service, tenant: Tenant, current: str, *others: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Run another API process on these master keys; yield the tenant's client of it."""
    listener = listening()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    changed = {"master_key": current, "other_master_keys": others, "public_url": url}
    settings = service.settings.model_validate(service.settings.model_dump() | changed)
    async with serving(settings, listener):
        yield await service.client(url, tenant.http.headers["authorization"].removeprefix("Bearer "))


async def test_a_replay_outlives_its_master_key(service: Service, tenant: Tenant) -> None:
    old = service.settings.master_key.get_secret_value()
    key, body = {"Idempotency-Key": uuid4().hex}, {"model": MODEL, "prompt": unique("a seal")}
    first = (await tenant.http.post("/v1/generations", json=body, headers=key)).json()["id"]
    other = body | {"prompt": "another"}

    async with with_keys(service, tenant, NEW, old) as http:
        replay = await http.post("/v1/generations", json=body, headers=key)
        reused = await http.post("/v1/generations", json=other, headers=key)
    assert (replay.json()["id"], reused.json()["code"]) == (first, "idempotency_key_reused")
    assert replay.headers["idempotent-replayed"] == replay.headers["idempotency-replayed"] == "true"

    async with with_keys(service, tenant, NEW) as http:  # the old one is retired
        replay = await http.post("/v1/generations", json=body, headers=key)
    assert (replay.status_code, replay.json()["id"]) == (202, first)
    assert await service.generations_of(tenant) == 1
    await tenant.ended(first)


async def test_a_key_is_one_over_all_routes(service: Service, tenant: Tenant) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    ancestor = await tenant.ended((await tenant.posted(unique("a bell")))["id"])
    again_at = f"{ancestor['urls']['self']}/retry"

    retried = await tenant.http.post(again_at, headers=key)
    again = await tenant.http.post(again_at, headers=key)
    reused = await tenant.http.post(
        "/v1/generations", json={"model": MODEL, "prompt": ancestor["prompt"]}, headers=key
    )

    assert (retried.status_code, again.json()["id"]) == (202, retried.json()["id"])
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert await service.generations_of(tenant) == 2
    await tenant.ended(retried.json()["id"])
