"""What a billing system is told of a charge, and of which."""

from datetime import UTC, datetime

from domain.generation import Status, TerminalState
from tests.integration.usage_events.conftest import SOURCE, TOKEN, Site
from tests.support.requests import request


async def test_a_charge_is_one_event_in_a_batch(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    before = datetime.now(UTC)
    event_id = await site.charge(tenant_id, images=2, price_credits=8)
    await site.send_all()

    [received] = site.receiver.received
    assert received.headers["content-type"] == "application/cloudevents-batch+json"
    assert received.headers["authorization"] == f"Bearer {TOKEN}"
    [event] = received.events
    assert abs((datetime.fromisoformat(event.pop("time")) - before).total_seconds()) < 60
    assert event == {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": "darkroom.generation.charged.v1",
        "subject": tenant_id,
        "datacontenttype": "application/json",
        "data": {
            "generation_id": event_id.removesuffix(":settle"),
            "model": "flux-schnell",
            "provider": "fal",
            "api_key_id": None,
            "images": 2,
            "charged_credits": 8,
            "paid_credits": 8,
            "promotional_credits": 0,
        },
    }


async def test_a_charge_says_what_of_it_was_promotional(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    await site.books.sql(
        "SELECT state FROM grant_credits(:tenant, 'gift', 3, 'promotional', 10, NULL, NULL, false)",
        tenant=tenant_id,
    )
    for _ in range(2):
        await site.charge(tenant_id, price_credits=4)
    await site.send_all()
    data = [event["data"] for event in site.receiver.received[0].events]
    assert [(each["paid_credits"], each["promotional_credits"]) for each in data] == [(1, 3), (4, 0)]


async def test_a_partly_charged_generation_tells_of_what_was_charged(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    generation_id = await site.books.add(tenant_id, request(n=4, price_credits=8))
    await site.ledger.reserve(generation_id, tenant_id)
    await site.books.store(generation_id, 3)
    await site.ledger.settle(generation_id)
    await site.send_all()
    [event] = site.receiver.received[0].events
    assert (event["data"]["images"], event["data"]["charged_credits"]) == (3, 6)


async def test_what_costs_nothing_is_not_told(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    await site.charge(tenant_id, price_credits=0)
    refunded = await site.books.add(tenant_id)
    await site.ledger.reserve(refunded, tenant_id)
    await site.ledger.refund(refunded, TerminalState(Status.CANCELED))
    await site.send_all()
    assert site.receiver.received == []


async def test_what_was_charged_before_the_start_is_not_told(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    await site.books.sql("UPDATE event_cursors SET transaction_id = -1 WHERE name = 'usage'")
    await site.charge(tenant_id)
    await site.outbox.start()
    later = await site.charge(tenant_id)
    await site.outbox.start()  # as each worker does
    await site.send_all()
    assert site.ids() == [later]


async def test_an_event_is_the_same_after_its_content_was_erased(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    await site.charge(tenant_id)
    await site.outbox.collect(1000)
    before = await site.outbox.list_unsent(10)
    await site.books.sql(
        "UPDATE generations SET prompt = '', parameters = '{}', metadata = '{}', api_key_id = api_key_id"
        " WHERE tenant_id = :tenant",
        tenant=tenant_id,
    )
    assert await site.outbox.list_unsent(10) == before
