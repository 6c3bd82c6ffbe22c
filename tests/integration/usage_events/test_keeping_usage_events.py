"""Charges outlive the log of events, and restored dumps, until a billing system has taken them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.events import PostgresEventLog
from adapters.database.usage_outbox import usage_backlog
from domain.retention import Retention
from tests.integration.usage_events.conftest import Site
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually


@pytest.fixture
async def owner(usage_url: str) -> AsyncIterator[PostgresBooks]:
    database = Database(usage_url, pool_size=1)
    yield PostgresBooks(database)
    await database.close()


async def _age_log(owner: PostgresBooks) -> None:
    async with owner.database.begin() as session:
        for statement in (
            "ALTER TABLE events DISABLE TRIGGER USER",
            "UPDATE events SET created_at = created_at - interval '40 days'",
            "ALTER TABLE events ENABLE TRIGGER USER",
        ):
            await session.execute(text(statement))


async def test_a_charge_outlives_its_event(site: Site, owner: PostgresBooks) -> None:
    """No sender was there to collect it: what deletes old events does that first."""
    tenant_id = await site.books.tenant(100)
    event_id = await site.charge(tenant_id)
    await _age_log(owner)
    assert await PostgresErasure(site.books.database).purge_events(Retention({}, 30.0), 100_000)
    assert await site.books.sql("SELECT 1 FROM events WHERE tenant_id = :tenant", tenant=tenant_id) == []
    await site.send_all()
    assert site.ids() == [event_id]


async def test_an_event_that_cannot_be_collected_is_not_deleted(site: Site, owner: PostgresBooks) -> None:
    """As while another process has the cursor, for as long as that takes."""
    tenant_id = await site.books.tenant(100)
    event_id = await site.charge(tenant_id)
    await _age_log(owner)
    async with site.books.database.begin() as session:
        await session.execute(text("SELECT FROM event_cursors WHERE name = 'usage' FOR UPDATE"))
        await PostgresErasure(site.books.database).purge_events(Retention({}, 30.0), 100_000)
    await site.send_all()
    assert site.ids() == [event_id]


async def test_without_a_billing_system_nothing_is_kept(site: Site, owner: PostgresBooks) -> None:
    await site.books.sql("UPDATE event_cursors SET transaction_id = -1 WHERE name = 'usage'")
    tenant_id = await site.books.tenant(100)
    await site.charge(tenant_id)
    await _age_log(owner)
    await PostgresErasure(site.books.database).purge_events(Retention({}, 30.0), 100_000)
    assert await site.books.sql("SELECT 1 FROM events WHERE tenant_id = :tenant", tenant=tenant_id) == []
    assert await site.unsent() == []


async def test_a_restored_log_is_read_again(site: Site, owner: PostgresBooks) -> None:
    """Its events may stand before the place that was read to: sent twice is better than never."""
    tenant_id = await site.books.tenant(100)
    event_id = await site.charge(tenant_id)
    await site.send_all()
    async with owner.database.begin() as session:
        await session.execute(text("ALTER TABLE events DISABLE TRIGGER USER"))
        await session.execute(
            text("UPDATE events SET transaction_id = (1::bigint << 60) + id WHERE tenant_id = :tenant"),
            {"tenant": tenant_id},
        )
        await session.execute(text("ALTER TABLE events ENABLE TRIGGER USER"))
    assert await PostgresEventLog(site.books.database).rebase() > 0
    await site.send_all()
    assert site.ids().count(event_id) == 2


async def test_the_backlog_counts_what_is_not_sent(site: Site) -> None:
    assert (await usage_backlog(site.books.database)).unsent == 0
    tenant_id = await site.books.tenant(100)
    for _ in range(3):
        await site.charge(tenant_id)
    before = await usage_backlog(site.books.database)  # in the log
    await site.outbox.collect(1000)
    after = await usage_backlog(site.books.database)  # in the outbox
    assert before.unsent == after.unsent == 3
    assert 0 < before.oldest_seconds <= after.oldest_seconds
    await site.send_all()
    assert await usage_backlog(site.books.database) == type(after)()


async def test_a_place_of_another_server_is_the_beginning(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    event_id = await site.charge(tenant_id)
    await site.send_all()
    await site.books.sql("UPDATE event_cursors SET transaction_id = 1 << 60 WHERE name = 'usage'")
    await site.send_all()
    assert site.ids().count(event_id) == 2


async def test_several_that_collect_at_once_collect_each_charge_once(site: Site) -> None:
    tenant_id, done = await site.books.tenant(100), asyncio.Event()
    taken: list[str] = []

    async def collect() -> None:
        while not done.is_set():
            await site.outbox.collect(1000)

    collecting = [asyncio.create_task(collect()) for _ in range(4)]
    charged = [await site.charge(tenant_id, price_credits=1) for _ in range(20)]

    async def are_taken() -> bool:
        found = await site.outbox.list_unsent(100)
        await site.outbox.mark_sent("nobody", [charge.position for charge in found])
        taken.extend(charge.transfer_id for charge in found)
        return len(taken) >= len(charged)

    await eventually(are_taken)
    done.set()
    await asyncio.gather(*collecting)
    await are_taken()
    assert taken == charged
