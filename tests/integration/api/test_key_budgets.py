"""What keys may spend, over the API: at accept time, at the hold, and in headers."""

import asyncio
from collections import Counter
from typing import Any

import httpx

from adapters.database.tenants import PostgresTenants
from domain.auth import Scope
from tests.integration.api.service import PRICE, Service, Tenant, unique
from tests.support.time_limits import scaled

BUDGET = ("x-budget-limit", "x-budget-remaining", "x-budget-reset")
COMMITTED = ("x-committed-limit", "x-committed-credits")
_MONTH_SECONDS = 31 * 86_400


async def capped(
    service: Service, tenant: Tenant, *, budget: int | None = None, held: int | None = None
) -> Tenant:
    """Return the tenant with another key, which has caps."""
    key = await PostgresTenants(service.database).create_key(
        tenant.id, tuple(Scope), monthly_budget_credits=budget, max_held_credits=held
    )
    return Tenant(tenant.id, key.key_id, await service.client(service.url, key.api_key))


def left(answer: httpx.Response) -> dict[str, int]:
    return {name: int(answer.headers[name]) for name in (*BUDGET, *COMMITTED) if name in answer.headers}


async def spending(tenant: Tenant) -> dict[str, Any]:
    return dict((await tenant.get(f"/v1/keys/{tenant.key_id}"))["spending"])


async def test_a_budget_is_spent_and_then_refused_before_there_is_a_row(
    service: Service, tenant: Tenant
) -> None:
    key = await capped(service, tenant, budget=3)
    first = await key.post(unique("a first"), n=2)
    assert first.status_code == 202
    headers = left(first)
    assert (headers["x-budget-limit"], headers["x-budget-remaining"]) == (3, 1)
    assert 0 < headers["x-budget-reset"] <= _MONTH_SECONDS
    assert not headers.keys() & set(COMMITTED)
    assert (await key.ended(first.json()["id"]))["status"] == "completed"
    rows = await service.generations_of(tenant)

    refused = await key.post(unique("a second"), n=2, key=unique("key"))
    assert (refused.status_code, refused.json()["code"]) == (402, "key_budget_exceeded")
    assert "1 are left" in refused.json()["detail"]
    assert refused.headers["x-should-retry"] == "false"
    assert left(refused)["x-budget-remaining"] == 1
    assert await service.generations_of(tenant) == rows
    body = {"model": "flux-schnell", "prompt": "a house", "size": "512x512", "n": 2}
    estimate = await key.http.post("/v1/generations/estimate", json=body)
    assert [each["code"] for each in estimate.json()["would_be_refused"]] == ["key_budget_exceeded"]
    # Another key of the tenant has its own, or none.
    assert not left(await tenant.post(unique("another key")))
    assert (await spending(key))["charged_credits"] == 2 * PRICE


async def test_what_open_jobs_hold_is_bounded_and_comes_back(service: Service, tenant: Tenant) -> None:
    key = await capped(service, tenant, held=2)
    job = await key.posted(unique("a vault [sim:hang]"), n=2)
    await key.generating(job["id"])
    refused = await key.post(unique("one more"))
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_held_credits")
    assert left(refused) == {"x-committed-limit": 2, "x-committed-credits": 2}
    for path in ("/v1/credits", "/v1/session"):
        assert left(await key.http.get(path)) == {"x-committed-limit": 2, "x-committed-credits": 2}
    assert not left(await key.http.get("/v1/models"))

    assert (await key.http.post(f"/v1/generations/{job['id']}/cancel")).status_code == 202
    await key.ended(job["id"])
    assert (await key.post(unique("now"))).status_code == 202
    assert (await spending(key))["all_held_credits"] <= PRICE


async def test_twenty_posts_at_once_spend_no_more_than_the_budget(service: Service, tenant: Tenant) -> None:
    key = await capped(service, tenant, budget=3 * PRICE)
    async with asyncio.timeout(scaled(60)):
        answers = await asyncio.gather(*(key.post(unique("at once")) for _ in range(20)))
        accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        ended = [await key.ended(generation_id) for generation_id in accepted]
    codes = Counter(answer.json()["code"] for answer in answers if answer.status_code != 202)
    assert codes.keys() <= {"key_budget_exceeded"}
    completed = [job for job in ended if job["status"] == "completed"]
    others = [job for job in ended if job["status"] != "completed"]
    assert len(completed) == 3
    for job in others:
        assert (job["error"]["code"], job["cost"]["charged"]) == ("key_budget_exceeded", 0)
    found = await spending(key)
    assert (found["charged_credits"], found["all_held_credits"]) == (3 * PRICE, 0)
    assert await tenant.credits() == (100 - 3 * PRICE, 0, 3 * PRICE)


async def test_a_repeat_of_what_was_accepted_is_answered_whatever_is_left(
    service: Service, tenant: Tenant
) -> None:
    key = await capped(service, tenant, budget=1)
    prompt, idempotency_key = unique("a repeat"), unique("key")
    first = await key.post(prompt, idempotency_key)
    again = await key.post(prompt, idempotency_key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert left(again)["x-budget-remaining"] == 0


async def test_openais_clients_are_told_in_their_words(service: Service, tenant: Tenant) -> None:
    key = await capped(service, tenant, budget=1)
    body = {"model": "flux-schnell", "prompt": unique("an image"), "size": "512x512"}
    made = await key.http.post("/v1/images/generations", json=body)
    assert made.status_code == 200
    assert left(made)["x-budget-remaining"] == 0
    refused = await key.http.post("/v1/images/generations", json=body)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error["code"]) == (
        429,
        "insufficient_quota",
        "insufficient_quota",
    )
    assert refused.headers["x-should-retry"] == "false"
    assert left(refused)["x-budget-limit"] == 1


async def test_a_session_shows_caps_and_expiry(service: Service, tenant: Tenant) -> None:
    key = await capped(service, tenant, budget=7, held=5)
    shown = (await key.get("/v1/session"))["key"]
    assert (shown["monthly_budget_credits"], shown["max_held_credits"]) == (7, 5)
    assert shown["scopes"] == [scope.value for scope in Scope]
    assert (await tenant.get("/v1/session"))["key"]["monthly_budget_credits"] is None
