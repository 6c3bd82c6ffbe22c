"""A tenant that runs low, and a billing system that tops it up: without a shell, and without paying twice."""

from adapters.database.lots import PostgresLots
from tests.integration.api.operators.billing import TEST, Billing, billing_of
from tests.integration.api.service import Service, Tenant, unique
from tests.integration.webhooks.client import delivery_ended, endpoint_of
from tests.support.webhook_receiver import Received, Receiver, responding

PACK = 5


async def recharge(billing: Billing, tenant: Tenant, webhook: Received, secret: str) -> list[int]:
    """Do what a billing system does: charge once per webhook, and tell of the payment twice."""
    told = webhook.verified_by(secret)
    assert (told["type"], told["data"]["tenant_id"]) == ("credits.low", tenant.id)
    payment = f"pi_for_{webhook.id}"
    return [(await billing.grant(tenant, PACK, payment)).status_code for _ in range(2)]


async def test_credits_that_run_low_are_bought_again(service: Service, receiver: Receiver) -> None:
    billing, tenant = await billing_of(service), await service.tenant(credits=3)
    await PostgresLots(service.database).set_thresholds(tenant.id, [2], by=TEST)
    # It is away at first.
    url = receiver.url("/billing", responding(503), responding(204))
    endpoint = await endpoint_of(tenant, url, event_types=["credits.low"])

    await tenant.ended((await tenant.posted(unique("the last but one")))["id"])
    assert receiver.at("/billing") == []
    await tenant.ended((await tenant.posted(unique("the last")))["id"])
    first, again = await receiver.got("/billing", 2)
    assert (first.id, first.body) == (again.id, again.body)
    assert again.json["data"] == {
        "event_id": again.json["data"]["event_id"],
        "tenant_id": tenant.id,
        "generation_id": None,
        "number": None,
        "facts": {"threshold_credits": 2, "available_credits": 1},
    }

    assert await recharge(billing, tenant, first, endpoint.secret) == [201, 200]
    assert await recharge(billing, tenant, again, endpoint.secret) == [200, 200]
    assert await billing.balance(tenant) == (1 + PACK, 0, 2, 0)
    assert (await delivery_ended(tenant, first.id))["attempts"] == 2

    # The top-up has lifted it above: it is told of again.
    for number in range(PACK):
        await tenant.ended((await tenant.posted(unique(f"of the pack {number}")))["id"])
    *_, second = await receiver.got("/billing", 3)
    assert second.id != first.id
    assert await recharge(billing, tenant, second, endpoint.secret) == [201, 200]
    assert await billing.balance(tenant) == (1 + PACK, 0, 2 + PACK, 0)
