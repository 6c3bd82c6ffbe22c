"""What a batch may cost is compared with the budget of its key, before anything is made of it."""

from tests.integration.api.batching import batch_ended, batch_file, item, line
from tests.integration.api.service import PRICE, Service, Tenant, unique
from tests.integration.api.test_key_budgets import capped


async def batches_of(service: Service, tenant: Tenant) -> int:
    return await service.count("SELECT count(*) FROM batches WHERE tenant_id = :id", id=tenant.id)


async def test_an_array_above_the_budget_is_refused_whole(service: Service, tenant: Tenant) -> None:
    key = await capped(service, tenant, budget=2 * PRICE)
    within = await key.http.post("/v1/batches", json={"items": [item(unique("a cup"))]})
    assert within.status_code == 202, within.text
    ended = await batch_ended(key, within.json()["id"])
    assert (ended["status"], ended["cost"]["charged"]) == ("completed", PRICE)

    refused = await key.http.post("/v1/batches", json={"items": [item("a pot"), item("a pan")]})

    assert (refused.status_code, refused.json()["code"]) == (402, "key_budget_exceeded")
    assert refused.headers["x-should-retry"] == "false"
    assert await batches_of(service, tenant) == 1
    # Another key of the tenant has no budget.
    free = await tenant.http.post("/v1/batches", json={"items": [item(unique("a pot"))] * 2})
    assert free.status_code == 202
    await batch_ended(tenant, free.json()["id"])


async def test_a_file_above_the_budget_makes_nothing(service: Service, tenant: Tenant) -> None:
    key = await capped(service, tenant, budget=2 * PRICE)
    file_id = await batch_file(key, [line("a boat", str(number)) for number in range(3)])
    body = {"input_file_id": file_id, "endpoint": "/v1/images/generations"}
    answer = await key.http.post("/v1/batches", json=body)
    assert answer.status_code == 202, answer.text

    batch = await batch_ended(key, answer.json()["id"])

    assert (batch["status"], batch["error"]["code"]) == ("failed", "key_budget_exceeded")
    assert await service.generations_of(tenant) == 0


async def test_items_wait_for_what_their_key_may_hold(service: Service, tenant: Tenant) -> None:
    """More are open at once than the key may hold the price of: none of them fails for that."""
    key = await capped(service, tenant, held=2 * PRICE)
    items = [item(unique("a cup [sim:latency=0.2]")) for _ in range(6)]
    answer = await key.http.post("/v1/batches", json={"items": items, "concurrency": 6})
    assert answer.status_code == 202, answer.text

    batch = await batch_ended(key, answer.json()["id"])

    assert (batch["status"], batch["counts"]["completed"]) == ("completed", 6)
