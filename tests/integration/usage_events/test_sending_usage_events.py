"""Each charge arrives at least once and in order, whatever the receiver and the senders do."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
import pytest

from activities.usage_sender import UsageSender
from adapters.billing_receiver import HttpBillingReceiver, billing_client
from domain.ports.usage_events import UsageResponse
from domain.usage_events import Charge
from tests.integration.usage_events.conftest import PATH, SOURCE, Site
from tests.support.eventually import eventually
from tests.support.requests import new_id
from tests.support.time_limits import scaled
from tests.support.webhook_receiver import (
    OK,
    Respond,
    closing,
    cut,
    dripping,
    flooding,
    hanging,
    responding,
)

_MAX_WAIT_SECONDS = 300


@pytest.fixture
async def charged(site: Site) -> list[str]:
    tenant_id = await site.books.tenant(100)
    return [await site.charge(tenant_id) for _ in range(3)]


@pytest.mark.parametrize(
    "failure",
    [
        responding(500),
        responding(401, body=b"no such token"),
        responding(302, "Location: http://127.0.0.1:1/"),
        responding(429, "Retry-After: 0"),
        hanging,
        closing,
        dripping,
    ],
    ids=["error", "refusal", "redirect", "slow_down", "hanging", "closing", "dripping"],
)
async def test_a_receiver_that_fails_gets_all_of_it_again(
    site: Site, charged: list[str], failure: Respond
) -> None:
    site.answer(failure, failure, OK)

    async def are_sent() -> bool:
        await site.sender.look()
        return not await site.unsent()

    await site.sender.look()
    assert await site.unsent() == charged
    await eventually(are_sent)
    await site.send_all()
    first, second, *taken = [[event["id"] for event in each.events] for each in site.receiver.at(PATH)]
    assert first == second == charged
    assert [event_id for ids in taken for event_id in ids] == charged


@pytest.mark.parametrize("success", [cut, flooding(5_000_000), responding(202)], ids=["cut", "flood", "202"])
async def test_what_comes_after_a_success_changes_nothing(
    site: Site, charged: list[str], success: Respond
) -> None:
    site.answer(success)
    await site.send_all()
    assert site.ids() == charged
    assert await site.unsent() == []


async def test_one_event_that_is_refused_holds_up_only_those_behind_it(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    charged = [await site.charge(tenant_id) for _ in range(6)]
    bad = charged[3]

    class Picky:
        async def send_batch(self, charges: Sequence[Charge]) -> UsageResponse:
            ids = [charge.transfer_id for charge in charges]
            if bad in ids:
                return UsageResponse("status 400")
            taken.extend(ids)
            return UsageResponse(None)

    taken: list[str] = []
    sender = UsageSender(site.outbox, Picky(), new_id("sender"), lease_seconds=30, first_wait_seconds=0.0001)

    async def only_bad_ones_are_left() -> bool:
        await sender.look()
        return await site.unsent() == charged[3:]

    await eventually(only_bad_ones_are_left)
    assert taken == charged[:3]


async def test_waits_grow_and_are_kept_over_processes(site: Site, charged: list[str]) -> None:
    del charged
    waits: list[float] = []
    await site.outbox.collect(1000)
    site.answer(responding(503, "Retry-After: 250"), responding(503))
    for _ in range(12):
        await site.sender.look()
        [row] = await site.books.sql(
            "SELECT failures, extract(epoch FROM next_attempt_at - now()) AS seconds FROM usage_senders"
        )
        waits.append(float(row.seconds))
        await site.books.sql("UPDATE usage_senders SET next_attempt_at = NULL")
    assert 200 < waits[0] <= 250
    assert all(seconds <= _MAX_WAIT_SECONDS for seconds in waits)
    assert waits[11] > waits[5] > waits[1] - 0.01
    await site.books.sql("UPDATE usage_senders SET next_attempt_at = now() + interval '1 hour'")
    async with billing_client(2.0) as client:
        to = HttpBillingReceiver(client, site.receiver.url(PATH, OK), None, SOURCE, timeout_seconds=2.0)
        await UsageSender(site.outbox, to, new_id("other"), lease_seconds=30).look()
    assert len(site.receiver.at(PATH)) == len(waits)


async def test_a_charge_whose_transaction_commits_late_is_not_lost(site: Site) -> None:
    """Its event has a lower number than those that were committed, and sent, before it."""
    tenant_id = await site.books.tenant(100)
    late = await asyncpg.connect(site.database_url, timeout=scaled(10))
    transaction = late.transaction()
    await transaction.start()
    slow = await site.books.add(tenant_id)
    await site.ledger.reserve(slow, tenant_id)
    await site.books.store(slow)
    other = await site.books.tenant(100)
    await late.execute("SELECT settle_credits($1)", slow)
    quick = await site.charge(other)
    await site.send_all()
    assert site.ids() == []  # it waits for what may come before it
    await transaction.commit()
    await late.close()
    await site.send_all()
    assert site.ids() == [f"{slow}:settle", quick]


async def test_workers_that_are_killed_lose_nothing(site: Site) -> None:
    """Of three senders, each is cut off again and again wherever it is; one goes on in the end."""
    tenants = [await site.books.tenant(1000) for _ in range(3)]
    site.answer(*(responding(500 if number % 3 == 0 else 204) for number in range(60)), OK)
    expected: dict[str, list[str]] = {tenant_id: [] for tenant_id in tenants}
    async with billing_client(2.0) as client:
        to = HttpBillingReceiver(client, f"{site.receiver.origin}{PATH}", None, SOURCE, timeout_seconds=2.0)

        def new_sender() -> UsageSender:
            name = new_id("sender")
            return UsageSender(site.outbox, to, name, lease_seconds=0.3, first_wait_seconds=0.005)

        stop = asyncio.Event()
        running = [asyncio.create_task(new_sender().run(stop)) for _ in range(3)]
        for number in range(24):
            tenant_id = tenants[number % 3]
            expected[tenant_id].append(await site.charge(tenant_id))
            killed = running.pop(0)
            killed.cancel()  # no release of its lease
            with suppress(asyncio.CancelledError):
                await killed
            running.append(asyncio.create_task(new_sender().run(stop)))

        async def have_all_arrived() -> bool:
            return set(site.ids()) >= {each for ids in expected.values() for each in ids}

        await eventually(have_all_arrived)
        stop.set()
        await asyncio.gather(*running)
    events = [event for each in site.receiver.at(PATH) for event in each.events]
    for tenant_id, ids in expected.items():
        # By when each came first; what comes again later is known by its id.
        assert list(dict.fromkeys(each["id"] for each in events if each["subject"] == tenant_id)) == ids
    by_id = {event["id"]: event for event in events}
    assert all(event == by_id[event["id"]] for event in events)


async def test_one_sends_at_a_time(site: Site, charged: list[str]) -> None:
    assert await site.outbox.collect(1000)
    assert await site.outbox.lease("one", 30) == 0
    assert await site.outbox.lease("other", 30) is None
    await site.sender.look()
    assert site.ids() == []
    await site.outbox.release("one")
    await site.sender.look()
    assert site.ids() == charged
