"""What a client does with webhook endpoints."""

from dataclasses import dataclass
from typing import Any

from tests.integration.api.service import Tenant
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Endpoint:
    """An endpoint, and the secret that was shown once."""

    id: str
    secret: str


async def endpoint_of(tenant: Tenant, url: str, **fields: Any) -> Endpoint:
    """Make an endpoint."""
    response = await tenant.http.post("/v1/webhook-endpoints", json={"url": url, **fields})
    assert response.status_code == 201, response.text
    return Endpoint(response.json()["id"], response.json()["secret"])


async def delivery_ended(tenant: Tenant, delivery_id: str) -> dict[str, Any]:
    """Wait until a delivery has ended; return it with its attempts."""

    async def check() -> dict[str, Any] | None:
        delivery = await tenant.get(f"/v1/deliveries/{delivery_id}")
        return delivery if delivery["status"] != "pending" else None

    return await eventually(check)


async def deliveries_of(tenant: Tenant, endpoint_id: str, **filters: str) -> list[dict[str, Any]]:
    response = await tenant.http.get(f"/v1/webhook-endpoints/{endpoint_id}/deliveries", params=filters)
    assert response.status_code == 200, response.text
    return list(response.json()["data"])


async def endpoint_view(tenant: Tenant, endpoint: Endpoint) -> dict[str, Any]:
    return await tenant.get(f"/v1/webhook-endpoints/{endpoint.id}")


async def pinged(tenant: Tenant, endpoint: Endpoint) -> str:
    """Ping an endpoint; return the delivery's id."""
    response = await tenant.http.post(f"/v1/webhook-endpoints/{endpoint.id}/ping")
    assert response.status_code == 202, response.text
    return str(response.json()["id"])
