"""Two tenants and their images: a flood of one delays the other by what runs, and not by what waits."""

import asyncio

from sqlalchemy import text

from tests.integration.api.pictures import data_uri, png, solid_webp
from tests.integration.api.service import Service, Tenant, unique
from tests.support.eventually import eventually

# As large as these tests' settings allow; it takes a hundred times as long as the other tenant's.
DEAREST = data_uri(solid_webp(2000, 2000), "webp")
_REQUESTS, _IMAGES = 4, 4


async def served(service: Service, *tenants: Tenant) -> list[str]:
    """Return whose image was decoded, in this order: a row is written when it was."""
    query = text("SELECT tenant_id FROM input_files WHERE tenant_id = ANY(:ids) ORDER BY created_at, id")
    async with service.database.begin() as session:
        return list((await session.execute(query, {"ids": [each.id for each in tenants]})).scalars())


async def flood(tenant: Tenant) -> None:
    body = {"model": "flux-2", "prompt": unique("a flood"), "inputs": [DEAREST] * _IMAGES}
    response = await tenant.http.post("/v1/generations", json=body)
    assert response.status_code == 202, response.text


async def test_an_ordinary_upload_does_not_wait_for_a_flood(service: Service, tenant: Tenant) -> None:
    neighbor = await service.tenant()
    floods = [asyncio.create_task(flood(tenant)) for _ in range(_REQUESTS)]

    async def has_begun() -> bool:
        return bool(await served(service, tenant))

    await eventually(has_begun, 30)
    uploaded = await neighbor.http.post("/v1/files", files={"file": png()})
    await asyncio.gather(*floods)

    assert uploaded.status_code == 201
    order = await served(service, tenant, neighbor)
    assert len(order) == _REQUESTS * _IMAGES + 1
    # Those that ran or had run when it came; with one queue for all it would be the last.
    assert order.index(neighbor.id) <= len(order) // 2
