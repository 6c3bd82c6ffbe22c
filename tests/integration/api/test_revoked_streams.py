"""Streams and waits that are open when their key is revoked, expires, or its tenant is suspended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from domain.keys import NewKey
from tests.integration.api.service import Service, Tenant, unique
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

_STREAM = {"Accept": "text/event-stream"}
# About two seconds, and what a busy machine adds: far less than the five minutes of a stream.
_SECONDS = 20
_OPERATOR = Actor("an operator", "a test")


@asynccontextmanager
async def open_stream(http: httpx.AsyncClient, path: str) -> AsyncIterator[AsyncIterator[str]]:
    """Open a stream; yield its lines, once it has begun."""
    async with http.stream("GET", path, headers=_STREAM) as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        await anext(lines)
        yield lines


async def end_of(lines: AsyncIterator[str]) -> None:
    async with asyncio.timeout(scaled(_SECONDS)):
        async for _ in lines:
            pass


async def revoke(service: Service, _: Tenant, key: NewKey) -> None:
    await PostgresTenants(service.database).revoke_key(key.key_id)


async def revoke_over_the_api(_: Service, tenant: Tenant, key: NewKey) -> None:
    assert (await tenant.http.delete(f"/v1/keys/{key.key_id}")).status_code == 204


async def expire(service: Service, _: Tenant, key: NewKey) -> None:
    async with service.database.begin() as session:
        await session.execute(
            text("UPDATE api_keys SET expires_at = now() WHERE id = :id"), {"id": key.key_id}
        )


async def suspend(service: Service, tenant: Tenant, _: NewKey) -> None:
    await PostgresTenants(service.database).suspend(tenant.id, by=_OPERATOR)


End = Callable[[Service, Tenant, NewKey], Awaitable[None]]
ENDS = pytest.mark.parametrize("end", [revoke, revoke_over_the_api, expire, suspend])


async def another_key(service: Service, tenant: Tenant) -> tuple[NewKey, httpx.AsyncClient]:
    key = await PostgresTenants(service.database).create_key(
        tenant.id, tuple(Scope), lifetime=timedelta(days=1)
    )
    return key, await service.client(service.url, key.api_key)


async def hanging(tenant: Tenant) -> str:
    job = await tenant.posted(unique("a vault [sim:hang]"))
    await tenant.generating(job["id"])
    return str(job["id"])


@ENDS
async def test_open_streams_end_with_their_key(service: Service, tenant: Tenant, end: End) -> None:
    key, http = await another_key(service, tenant)
    job = await hanging(tenant)
    async with (
        open_stream(http, "/v1/events") as of_tenant,
        open_stream(http, f"/v1/generations/{job}/events") as of_generation,
    ):
        await end(service, tenant, key)
        await asyncio.gather(end_of(of_tenant), end_of(of_generation))
    assert (await http.get("/v1/events", headers=_STREAM)).status_code in (401, 403)


async def test_another_keys_stream_goes_on(service: Service, tenant: Tenant) -> None:
    key, http = await another_key(service, tenant)
    async with open_stream(tenant.http, "/v1/events") as other, open_stream(http, "/v1/events") as lines:
        await revoke(service, tenant, key)
        await end_of(lines)
        await tenant.posted(unique("after it"))
        async with asyncio.timeout(scaled(_SECONDS)):
            async for line in other:
                if line.startswith("data:"):
                    return
    raise AssertionError("the stream of the other key has ended")


@ENDS
async def test_requests_that_wait_are_refused_with_their_key(
    service: Service, tenant: Tenant, end: End
) -> None:
    key, http = await another_key(service, tenant)
    job = await hanging(tenant)
    body = {"model": "flux-schnell", "prompt": unique("a safe [sim:hang]")}
    waiting = asyncio.ensure_future(http.get(f"/v1/generations/{job}?wait=30"))
    posted = asyncio.ensure_future(http.post("/v1/generations", json=body, headers={"Prefer": "wait=30"}))
    await eventually(lambda: _count(service, tenant, 2), 20)
    await end(service, tenant, key)
    expected = (403, "tenant_suspended") if end is suspend else (401, "unauthenticated")
    async with asyncio.timeout(scaled(_SECONDS)):
        read, made = await waiting, await posted
    assert (read.status_code, read.json()["code"], read.json()["generation_id"]) == (*expected, None)
    # Its client learns of the job that was accepted, and nothing of it.
    assert (made.status_code, made.json()["code"]) == expected
    assert made.json()["generation_id"].startswith("gen_")
    assert "images" not in made.json()


async def _count(service: Service, tenant: Tenant, count: int) -> bool:
    return await service.generations_of(tenant) >= count


async def test_a_watch_token_does_not_end_with_a_key(service: Service, tenant: Tenant) -> None:
    key, http = await another_key(service, tenant)
    job = await hanging(tenant)
    token = await http.post("/v1/watch-tokens", json={"generation_id": job, "ttl_seconds": 600})
    page = await service.client(service.url)
    async with (
        open_stream(page, token.json()["events_url"].removeprefix(service.url)) as watched,
        open_stream(http, "/v1/events") as lines,
    ):
        await revoke(service, tenant, key)
        await end_of(lines)
        await tenant.http.post(f"/v1/generations/{job}/cancel")
        async with asyncio.timeout(scaled(_SECONDS)):
            async for line in watched:
                if "cancel" in line:
                    break
            else:
                raise AssertionError("the stream of the token has ended with the key")


async def test_a_watch_token_ends_with_its_tenant(service: Service, tenant: Tenant) -> None:
    key, http = await another_key(service, tenant)
    body = {"generation_id": await hanging(tenant), "ttl_seconds": 600}
    token = (await http.post("/v1/watch-tokens", json=body)).json()
    page = await service.client(service.url)
    async with open_stream(page, token["events_url"].removeprefix(service.url)) as watched:
        await suspend(service, tenant, key)
        await end_of(watched)
