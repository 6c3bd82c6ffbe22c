"""What a batch costs, checked before anything is made of it: what is made already, budgets, webhooks."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.api.batching import batch_ended, batch_file, item, items_of, posted_batch
from tests.integration.api.service import MODEL, PRICE, Service, Tenant, unique
from tests.integration.api.test_key_budgets import capped

_COUNT = 3


async def of_file(tenant: Tenant, bodies: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Make a batch of a file with the same items; return it once it has ended."""
    lines = [
        json.dumps(
            {
                "custom_id": f"c{number}",
                "method": "POST",
                "url": "/v1/generations",
                "body": {name: value for name, value in body.items() if name != "idempotency_key"},
                **({"idempotency_key": key} if (key := body.get("idempotency_key")) else {}),
            }
        )
        for number, body in enumerate(bodies)
    ]
    file_id = await batch_file(tenant, lines)
    answer = await tenant.http.post("/v1/batches", json={"input_file_id": file_id, **fields})
    assert answer.status_code == 202, answer.text
    return await batch_ended(tenant, answer.json()["id"])


async def refused(tenant: Tenant, items: list[dict[str, Any]], **fields: Any) -> httpx.Response:
    return await tenant.http.post("/v1/batches", json={"items": items, **fields})


@pytest.fixture
async def spent(service: Service) -> tuple[Tenant, list[dict[str, Any]]]:
    """Return a tenant that has spent all but one image's price on items with keys, and these."""
    tenant = await service.tenant(credits=(_COUNT + 1) * PRICE)
    items = [item(unique(f"a moor {number}"), idempotency_key=unique("key")) for number in range(_COUNT)]
    await batch_ended(tenant, (await posted_batch(tenant, items))["id"])
    return tenant, items


@pytest.mark.parametrize("is_file", [False, True])
async def test_what_is_made_already_is_not_paid_again(
    spent: tuple[Tenant, list[dict[str, Any]]], *, is_file: bool
) -> None:
    """A batch that is posted again, after it was canceled in the middle, is to make the rest."""
    tenant, items = spent
    wanted = [*items, item(unique("a new moor"))]
    if is_file:
        batch = await of_file(tenant, wanted, max_cost=PRICE)
    else:
        batch = await batch_ended(tenant, (await posted_batch(tenant, wanted, max_cost=PRICE))["id"])
    assert (batch["status"], batch["counts"]["completed"]) == ("completed", _COUNT + 1)
    assert [each["attached"] for each in await items_of(tenant, batch["id"])] == [True] * _COUNT + [False]
    assert await tenant.credits() == (0, 0, (_COUNT + 1) * PRICE)


async def test_what_is_not_made_is_paid(spent: tuple[Tenant, list[dict[str, Any]]]) -> None:
    tenant, items = spent
    wanted = [*items, item(unique("a heath")), item(unique("a heath"), idempotency_key=unique("key"))]
    answers = [await refused(tenant, wanted), await refused(tenant, wanted, max_cost=PRICE)]
    assert [answer.json()["code"] for answer in answers] == ["insufficient_credits", "max_cost_exceeded"]
    batch = await of_file(tenant, wanted)
    assert (batch["status"], batch["error"]["code"]) == ("failed", "insufficient_credits")


async def test_a_key_cannot_ask_for_more_than_its_budget(service: Service, tenant: Tenant) -> None:
    key = await capped(service, tenant, budget=2 * PRICE, held=1)
    items = [item(unique("a fen")) for _ in range(3)]
    answer = await refused(key, items)
    batch = await of_file(key, items)
    assert (answer.status_code, answer.json()["code"]) == (402, "key_budget_exceeded")
    assert (batch["status"], batch["error"]["code"]) == ("failed", "key_budget_exceeded")
    assert await service.generations_of(tenant) == 0
    # What it may have held at once makes items wait, and no more than that.
    made = await batch_ended(key, (await posted_batch(key, items[:2]))["id"])
    assert (made["status"], made["counts"]["completed"]) == ("completed", 2)


async def test_lines_have_no_webhook_that_nothing_is_signed_with(service: Service, tenant: Tenant) -> None:
    body = {"model": MODEL, "prompt": unique("a bog"), "webhook_url": "https://hooks.example.com/a"}
    without = await of_file(tenant, [item("a bog"), body])
    assert (without["status"], without["error"]["code"]) == ("failed", "invalid_input")
    assert [(each["line"], each["param"]) for each in without["errors"]["data"]] == [(2, "body.webhook_url")]
    assert await service.generations_of(tenant) == 0
    await tenant.http.post("/v1/webhook-secret/rotate")
    assert (await of_file(tenant, [body]))["status"] == "completed"
