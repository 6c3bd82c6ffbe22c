"""Thresholds: a tenant is told once that little is left, however its balance swings."""

import asyncio
from typing import Any

import pytest

from adapters.database.audit import audit_events
from adapters.database.credits import PostgresCreditAccounts
from domain.audit import Actor
from tests.integration.api.service import Service, Tenant, unique
from tests.integration.webhooks.client import endpoint_of
from tests.support.webhook_receiver import Receiver

OPERATOR = Actor("ada@desk", "a test")


async def thresholds(tenant: Tenant, *credits: int) -> list[dict[str, Any]]:
    response = await tenant.http.put("/v1/credits/thresholds", json={"thresholds": list(credits)})
    assert response.status_code == 200, response.text
    data: list[dict[str, Any]] = response.json()["data"]
    assert data == (await tenant.get("/v1/credits/thresholds"))["data"]
    assert data == (await tenant.get("/v1/credits"))["thresholds"]
    return data


async def told(tenant: Tenant) -> list[tuple[int, int]]:
    """Return threshold and balance of each event, the oldest first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await tenant.get(f"/v1/events?type=credits.low&limit=500{cursor and f'&cursor={cursor}'}")
        found, cursor = [*found, *page["data"]], page["next_cursor"]
    assert all((each["generation_id"], each["number"]) == (None, None) for each in found)
    return [(each["data"]["threshold_credits"], each["data"]["available_credits"]) for each in found]


async def at_once(tenant: Tenant, prompt: str, count: int) -> list[str]:
    """Post so many jobs at the same time and wait for all of them; return how they ended."""
    jobs = await asyncio.gather(*(tenant.posted(unique(prompt)) for _ in range(count)))
    # One after the other: what is tested was at the same time.
    return [(await tenant.ended(job["id"]))["status"] for job in jobs]


async def test_each_threshold_is_told_once_until_a_grant_lifts_the_balance(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    accounts = PostgresCreditAccounts(service.database)
    endpoint = await endpoint_of(tenant, receiver.url("/low"), event_types=["credits.low"])
    assert await thresholds(tenant, 50, 60) == [
        {"threshold_credits": 60, "told_at": None},
        {"threshold_credits": 50, "told_at": None},
    ]

    assert await at_once(tenant, "a coin", 50) == ["completed"] * 50
    assert await tenant.credits() == (50, 0, 50)
    assert await told(tenant) == [(60, 59)]
    # Each of these holds a credit and returns it, around the threshold, some at the same time.
    for _ in range(2):
        assert await at_once(tenant, "a note [sim:moderation]", 10) == ["failed"] * 10
        assert await tenant.credits() == (50, 0, 50)
        assert [threshold for threshold, _ in await told(tenant)] == [60, 50]
    await accounts.grant(tenant.id, 20, "more", by=OPERATOR)
    assert len(await told(tenant)) == 2
    await accounts.withdraw(tenant.id, 15, "less", by=OPERATOR)
    assert (await told(tenant))[2:] == [(60, 55)]

    received = await receiver.got("/low", 3)
    bodies = [each.verified_by(endpoint.secret) for each in received]
    assert sorted(body["data"]["facts"]["threshold_credits"] for body in bodies) == [50, 60, 60]
    assert {body["type"] for body in bodies} == {"credits.low"}
    # Whatever comes later would be behind the delivery of this.
    await tenant.http.post(f"/v1/webhook-endpoints/{endpoint.id}/ping")
    assert len({each.id for each in await receiver.got("/low", 4)}) == 4


async def test_a_balance_that_is_below_already_is_told_at_once(service: Service, tenant: Tenant) -> None:
    listed = await thresholds(tenant, 1000, 100)
    assert [each["told_at"] is None for each in listed] == [False, True]
    assert await told(tenant) == [(1000, 100)]
    # The same again changes nothing; one that stays keeps what was told.
    assert await thresholds(tenant, 100, 1000, 100) == listed
    assert await thresholds(tenant, 1000) == listed[:1]
    assert await told(tenant) == [(1000, 100)]
    assert await thresholds(tenant) == []
    found = await audit_events(service.database, tenant.id, 100)
    changes = [each.details["thresholds"] for each in found if each.action == "set_thresholds"]
    assert changes == [[], [1000], [1000, 100], [1000, 100]]
    assert {each.actor for each in found if each.action == "set_thresholds"} == {f"key:{tenant.key_id}"}


@pytest.mark.parametrize(
    "body",
    [
        {"thresholds": list(range(1, 12))},
        {"thresholds": [0]},
        {"thresholds": [-1]},
        {"thresholds": [1.5]},
        {"thresholds": ["5"]},
        {"thresholds": [True]},
        {"thresholds": [10**12 + 1]},
        {"thresholds": None},
        {"thresholds": [5], "webhook": "x"},
        {},
    ],
    ids=str,
)
async def test_thresholds_that_cannot_be_are_refused_and_change_nothing(
    tenant: Tenant, body: dict[str, Any]
) -> None:
    before = await thresholds(tenant, 7)
    refused = await tenant.http.put("/v1/credits/thresholds", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    assert refused.json()["errors"][0]["field"].partition(".")[0] in ("thresholds", "webhook")
    assert (await tenant.get("/v1/credits/thresholds"))["data"] == before
