"""Top-ups and their refunds, as a billing system sends them: once, twice, too early, too late, and wrong."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from adapters.database.erasure import request_erasure
from adapters.database.tenants import PostgresTenants
from tests.integration.api.operators.billing import TEST, Billing, payment_id
from tests.integration.api.owned import books_of
from tests.integration.api.service import Service, Tenant
from tests.support.eventually import eventually

LATER, LATEST = "2090-01-01T00:00:00Z", "2095-01-01T00:00:00Z"


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant(credits=0)


async def test_a_payment_is_granted_once(service: Service, tenant: Tenant, billing: Billing) -> None:
    payment = payment_id()
    first = await billing.grant(tenant, 100, payment)
    again = await billing.grant(tenant, 100, payment)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert (await tenant.credits()) == (100, 0, 0)
    events = await service.words(
        "SELECT actor || ' ' || action || ' ' || (details->>'reference') FROM audit_events"
        " WHERE tenant_id = :id AND action <> 'create_tenant' AND action <> 'create_key'",
        id=tenant.id,
    )
    assert events == [f"operator:{billing.key_id} grant_credits {payment}"]


async def test_of_many_at_once_one_is_new(tenant: Tenant, billing: Billing) -> None:
    payment = payment_id()
    answers = await asyncio.gather(*(billing.grant(tenant, 7, payment) for _ in range(12)))
    assert sorted(each.status_code for each in answers) == [200] * 11 + [201]
    assert len({each.json()["lot_id"] for each in answers}) == 1
    assert (await billing.balance(tenant)) == (7, 0, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 11},
        {"category": "promotional"},
        {"priority": 51},
        {"expires_at": LATEST},
        {"expires_at": None},
        {"effective_at": "2080-01-01T00:00:00Z"},
        {"tenant_id": "another"},
    ],
    ids=str,
)
async def test_a_reference_is_one_payment_in_all_of_the_service(
    service: Service, tenant: Tenant, billing: Billing, change: dict[str, Any]
) -> None:
    other, payment = await service.tenant(credits=0), payment_id()
    first = {"tenant_id": tenant.id, "amount": 10, "reference": payment, "expires_at": LATER}
    assert (await billing.http.post("/v1/admin/grants", json=first)).status_code == 201
    before = await books_of(service, tenant), await books_of(service, other)

    if "tenant_id" in change:
        change = {"tenant_id": other.id}
    refused = await billing.http.post("/v1/admin/grants", json=first | change)

    assert (refused.status_code, refused.json()["code"]) == (409, "reference_reused")
    assert (await books_of(service, tenant), await books_of(service, other)) == before


async def test_of_two_tenants_that_race_for_a_reference_one_gets_it(
    service: Service, billing: Billing
) -> None:
    tenants = [await service.tenant(credits=0) for _ in range(6)]
    payment = payment_id()
    answers = await asyncio.gather(*(billing.grant(tenant, 5, payment) for tenant in tenants))
    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409, 409, 409]
    assert sorted([(await billing.balance(tenant))[0] for tenant in tenants]) == [0, 0, 0, 0, 0, 5]


async def test_what_would_expire_before_it_can_be_spent_is_refused(
    service: Service, tenant: Tenant, billing: Billing
) -> None:
    before = await books_of(service, tenant)
    for times in (
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"effective_at": LATEST, "expires_at": LATER},
        {"effective_at": LATER, "expires_at": LATER},
    ):
        refused = await billing.grant(tenant, 5, payment_id(), **times)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
        assert "expires_at" in refused.text
    assert await books_of(service, tenant) == before


async def test_a_repeat_after_the_expiry_returns_the_first(
    service: Service, tenant: Tenant, billing: Billing
) -> None:
    payment = payment_id()
    times = {"expires_at": (datetime.now(UTC) + timedelta(seconds=2)).isoformat()}
    first = await billing.granted(tenant, 5, payment, **times)

    async def is_over() -> bool:
        query = "SELECT count(*) FROM lots WHERE id = :id AND expires_at <= now()"
        return await service.count(query, id=first["lot_id"]) == 1

    await eventually(is_over)
    again = await billing.grant(tenant, 5, payment, **times)
    assert (again.status_code, again.json()["lot_id"]) == (200, first["lot_id"])


async def test_what_begins_later_is_upcoming(tenant: Tenant, billing: Billing) -> None:
    await billing.granted(tenant, 5, payment_id(), effective_at=LATER)
    found = await billing.credits(tenant)
    assert (found["available"], found["upcoming"]) == (0, 5)


async def test_a_suspended_tenant_is_granted_and_an_erased_or_unknown_one_is_not(
    service: Service, tenant: Tenant, billing: Billing
) -> None:
    assert await PostgresTenants(service.database).suspend(tenant.id, by=TEST)
    await billing.granted(tenant, 5, payment_id())

    await request_erasure(service.database, tenant.id, by=TEST)
    unknown = Tenant("ten_unknown", "", tenant.http)
    for whose in (tenant, unknown):
        for refused in (
            await billing.grant(whose, 5, payment_id()),
            await billing.take_back(whose, payment_id(), "re_1"),
        ):
            assert (refused.status_code, refused.json()["code"]) == (404, "tenant_not_found")
    assert (await billing.http.get("/v1/admin/tenants/ten_unknown/credits")).status_code == 404
    # The books stay.
    assert (await billing.balance(tenant)) == (5, 0, 0, 0)


async def test_lots_are_read_page_by_page(tenant: Tenant, billing: Billing) -> None:
    payments = [payment_id() for _ in range(5)]
    for payment in payments:
        await billing.granted(tenant, 5, payment)
    await billing.take_back(tenant, payments[2], "re_1")

    found: list[str] = []
    page = await billing.credits(tenant, limit=2)
    while True:
        found += [lot["reference"] for lot in page["lots"]]
        if page["next_cursor"] is None:
            break
        page = await billing.credits(tenant, limit=2, cursor=page["next_cursor"])
    assert found == [payments[each] for each in (4, 3, 1, 0)]
    every = await billing.credits(tenant, open_only=False)
    assert [lot["reference"] for lot in every["lots"]] == payments[::-1]

    path = f"/v1/admin/tenants/{tenant.id}/credits"
    for cursor in ("none", "bG90XzE", "%00"):
        refused = await billing.http.get(path, params={"cursor": cursor})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")


async def test_a_cursor_of_another_tenant_is_none(service: Service, tenant: Tenant, billing: Billing) -> None:
    for _ in range(2):
        await billing.granted(tenant, 5, payment_id())
    cursor = (await billing.credits(tenant, limit=1))["next_cursor"]
    other = await service.tenant(credits=0)
    refused = await billing.http.get(f"/v1/admin/tenants/{other.id}/credits", params={"cursor": cursor})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize("reference", ["INV 2026-11 #4711", "in/2026/11", "a?b=c&d", "100%"])
async def test_a_reference_may_have_signs_in_it(tenant: Tenant, billing: Billing, reference: str) -> None:
    reference = f"{payment_id()} {reference}"
    await billing.granted(tenant, 5, reference)
    found = await billing.payment(quote(reference, safe=""))
    assert found["reference"] == reference


async def test_of_an_unknown_payment_nothing_is_known(billing: Billing) -> None:
    for path in (payment_id(), "%00", "a" * 201):
        answer = await billing.http.get(f"/v1/admin/grants/{path}")
        assert answer.status_code in (404, 422)
        assert answer.json()["code"] in ("lot_not_found", "invalid_input")
