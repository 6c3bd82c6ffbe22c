"""Refunds and chargebacks: in part, too early, too late, after the credits are spent."""

import pytest

from tests.integration.api.operators.billing import Billing, payment_id
from tests.integration.api.owned import books_of
from tests.integration.api.service import Service, Tenant, unique


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant(credits=0)


@pytest.mark.parametrize("amount", [None, 40])
async def test_a_take_back_before_its_top_up_waits_for_it(
    service: Service, tenant: Tenant, billing: Billing, amount: int | None
) -> None:
    payment = payment_id()
    early = await billing.take_back(tenant, payment, "re_1", amount)
    again = await billing.take_back(tenant, payment, "re_1", amount)
    assert (early.status_code, again.status_code) == (202, 200)
    assert early.json() == again.json()
    assert (early.json()["state"], early.json()["applied"]) == ("pending", None)
    known = await billing.payment(payment)
    assert (known["grant"], known["take_backs"]) == (None, [early.json()])
    assert (await billing.balance(tenant)) == (0, 0, 0, 0)

    granted = await billing.granted(tenant, 100, payment)

    left = 0 if amount is None else 60
    assert (granted["remaining"], granted["taken_back"], granted["owed"]) == (left, 100 - left, 0)
    applied = await billing.take_back(tenant, payment, "re_1", amount)
    assert (applied.status_code, applied.json()["state"]) == (200, "applied")
    assert applied.json()["applied"] == 100 - left
    assert (await billing.balance(tenant)) == (left, 0, 0, 0)


async def test_another_tenant_cannot_have_the_payment_of_an_early_take_back(
    service: Service, tenant: Tenant, billing: Billing
) -> None:
    payment, other = payment_id(), await service.tenant(credits=0)
    assert (await billing.take_back(tenant, payment, "re_1")).status_code == 202
    for refused in (await billing.grant(other, 5, payment), await billing.take_back(other, payment, "re_1")):
        assert (refused.status_code, refused.json()["code"]) == (409, "reference_reused")
    assert (await billing.balance(other)) == (0, 0, 0, 0)


async def test_a_payment_is_refunded_in_parts_up_to_what_it_was(
    service: Service, tenant: Tenant, billing: Billing
) -> None:
    payment = payment_id()
    await billing.granted(tenant, 100, payment)
    first = await billing.take_back(tenant, payment, "re_1", 30)
    second = await billing.take_back(tenant, payment, "re_2", 30)
    assert (first.status_code, first.json()["applied"], second.json()["applied"]) == (201, 30, 30)

    before = await books_of(service, tenant)
    too_much = await billing.take_back(tenant, payment, "re_3", 41)
    assert (too_much.status_code, too_much.json()["code"]) == (409, "take_back_too_large")
    assert too_much.json()["detail"].startswith("amount: at most 40,")
    other = await billing.take_back(tenant, payment, "re_1", 31)
    assert (other.status_code, other.json()["code"]) == (409, "reference_reused")
    assert await books_of(service, tenant) == before

    rest = await billing.take_back(tenant, payment, "dp_1")
    assert (rest.status_code, rest.json()["applied"]) == (201, 40)
    assert (await billing.balance(tenant)) == (0, 0, 0, 0)
    listed = (await billing.payment(payment))["take_backs"]
    assert [each["reference"] for each in listed] == ["re_1", "re_2", "dp_1"]


async def test_a_chargeback_after_spending_and_while_held_is_owed_and_paid_first(
    service: Service, tenant: Tenant, billing: Billing
) -> None:
    payment = payment_id()
    await billing.granted(tenant, 3, payment)
    await tenant.ended((await tenant.posted(unique("a sold picture")))["id"])
    held = (await tenant.posted(unique("a stuck picture [sim:hang]")))["id"]
    await tenant.generating(held)
    assert (await billing.balance(tenant)) == (1, 1, 1, 0)

    answer = await billing.take_back(tenant, payment, "dp_1")
    assert (answer.status_code, answer.json()["applied"]) == (201, 3)
    assert (await billing.balance(tenant)) == (0, 1, 1, 2)
    # Whatever the API knew of the balance when it accepted it.
    refused = await tenant.post(unique("one more"))
    ended = await tenant.ended(refused.json()["id"]) if refused.status_code == 202 else None
    assert (ended["error"]["code"] if ended else refused.json()["code"]) == "insufficient_credits"

    # What the hold returns is owed already.
    await tenant.http.post(f"/v1/generations/{held}/cancel")
    await tenant.ended(held)
    assert (await billing.balance(tenant)) == (0, 0, 1, 1)

    next_one = await billing.granted(tenant, 10, payment_id())
    assert (next_one["repaid"], next_one["remaining"]) == (1, 9)
    assert (await billing.balance(tenant)) == (9, 0, 1, 0)
    [taken] = await service.words(
        "SELECT actor || ' ' || (details->>'applied_credits') FROM audit_events"
        " WHERE tenant_id = :id AND action = 'take_back_credits'",
        id=tenant.id,
    )
    assert taken == f"operator:{billing.key_id} 3"
