"""What the tests of repeated requests share."""

import asyncio
from typing import Any

import httpx

from tests.integration.api.openai_routes.clients import key_of
from tests.integration.api.openai_routes.cutting_proxy import CuttingProxy
from tests.integration.api.service import MODEL, PRICE, Service, Tenant
from tests.support.eventually import eventually

ROUTE = "/v1/images/generations"


async def only_job(tenant: Tenant) -> dict[str, Any]:
    """Return the tenant's one generation, which was charged once."""
    [job] = (await tenant.get("/v1/generations"))["data"]
    assert await tenant.credits() == (100 - PRICE, 0, PRICE)
    return dict(job)


async def unanswered(service: Service, tenant: Tenant) -> int:
    """Return how many jobs of a tenant have no answered client yet."""
    return await service.count(
        "SELECT count(*) FROM image_requests JOIN generations ON id = generation_id WHERE tenant_id = :id",
        id=tenant.id,
    )


async def open_requests(service: Service, tenant: Tenant) -> int:
    """Return how many jobs of a tenant have a client that waits for them."""
    return await service.count(
        "SELECT count(*) FROM image_requests JOIN generations ON id = generation_id"
        " WHERE tenant_id = :id AND connected_until > now()",
        id=tenant.id,
    )


async def cut_while_waiting(service: Service, tenant: Tenant, event: asyncio.Event, jobs: int = 1) -> None:
    """Set the event once so many jobs of the tenant are waited for."""

    async def check() -> bool:
        return await unanswered(service, tenant) == jobs

    await eventually(check, 20)
    event.set()


async def asked(tenant: Tenant, prompt: str, tries: int, **fields: Any) -> httpx.Response:
    """Ask as a client does that has sent it so many times before."""
    body = {"model": MODEL, "prompt": prompt, "size": "512x512", **fields}
    headers = {"x-stainless-retry-count": str(tries)}
    return await tenant.http.post(ROUTE, json=body, headers=headers)


async def post_through(tenant: Tenant, proxy: CuttingProxy, prompt: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=proxy.url, trust_env=False, timeout=20) as http:
        http.headers["Authorization"] = f"Bearer {key_of(tenant)}"
        return await http.post(ROUTE, json={"model": MODEL, "prompt": prompt, "size": "512x512"})
