"""A billing system in tests: it has an operator's key, and sends what payment providers tell it."""

from dataclasses import dataclass
from typing import Any

import httpx

from adapters.database.operator_keys import PostgresOperatorKeys
from domain.audit import Actor
from domain.operators import OperatorScope
from tests.integration.api.service import Service, Tenant
from tests.support.requests import new_id

TEST = Actor("test", reason="a test")


@dataclass
class Billing:
    """A billing system. key_id: of its operator's key."""

    key_id: str
    operator_key: str
    http: httpx.AsyncClient

    async def grant(self, tenant: Tenant, amount: int, reference: str, **fields: Any) -> httpx.Response:
        body = {"tenant_id": tenant.id, "amount": amount, "reference": reference, **fields}
        return await self.http.post("/v1/admin/grants", json=body)

    async def granted(self, tenant: Tenant, amount: int, reference: str, **fields: Any) -> dict[str, Any]:
        """Grant what is new."""
        response = await self.grant(tenant, amount, reference, **fields)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def take_back(
        self, tenant: Tenant, payment: str, reference: str, amount: int | None = None
    ) -> httpx.Response:
        body: dict[str, Any] = {
            "tenant_id": tenant.id, "payment_reference": payment, "reference": reference, "amount": amount
        }  # fmt: skip
        return await self.http.post("/v1/admin/take-backs", json=body)

    async def credits(self, tenant: Tenant, **query: Any) -> dict[str, Any]:
        response = await self.http.get(f"/v1/admin/tenants/{tenant.id}/credits", params=query)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def balance(self, tenant: Tenant) -> tuple[int, int, int, int]:
        """Return available, held, spent and owed credits."""
        found = await self.credits(tenant)
        return found["available"], found["held"], found["spent"], found["owed"]

    async def payment(self, reference: str) -> dict[str, Any]:
        response = await self.http.get(f"/v1/admin/grants/{reference}")
        assert response.status_code == 200, response.text
        return dict(response.json())


async def billing_of(
    service: Service, scopes: tuple[OperatorScope, ...] = (OperatorScope.WRITE_GRANTS,)
) -> Billing:
    key = await PostgresOperatorKeys(service.database).create("billing", scopes, by=TEST)
    return Billing(key.key_id, key.operator_key, await service.client(service.url, key.operator_key))


def payment_id() -> str:
    """Return a reference that no other test uses."""
    return new_id("pi")
