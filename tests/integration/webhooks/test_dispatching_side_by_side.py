"""No tenant's deliveries hold up another's, whatever it does with its own."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from activities.dispatcher import Dispatcher
from adapters.database.engine import Database
from adapters.database.sealed import Sealer
from adapters.database.webhook_endpoints import PostgresWebhookEndpoints
from domain.audit import SYSTEM
from tests.integration.webhooks.dispatch_site import Site, Workflows, look_until_done, new_site
from tests.support.books import PostgresBooks
from tests.support.time_limits import scaled
from tests.support.webhook_sending import KEYRING

_SET_DUE = """
UPDATE deliveries
SET started_at = now() - interval '3 hours', next_attempt_at = now() - CAST(:age AS interval) WHERE id = :id
"""


@pytest.fixture
async def site(database: Database, books: PostgresBooks) -> Site:
    return await new_site(database, books)


async def test_a_tenant_that_has_much_resent_holds_up_no_deliveries(site: Site, serving_url: str) -> None:
    await site.write_events()
    resending = await asyncpg.connect(serving_url, timeout=scaled(10))
    transaction = resending.transaction()
    await transaction.start()
    await resending.execute(
        "SELECT resend_deliveries($1, clock_timestamp() + interval '1 hour', 10)", site.endpoint_id
    )
    await site.dispatch_all()
    assert len(await site.rows()) == 1
    await transaction.rollback()
    await resending.close()


async def test_an_endpoint_is_deleted_while_an_attempt_is_recorded(
    site: Site, database: Database, serving_url: str
) -> None:
    """Whoever records one has its delivery locked, and then writes its endpoint."""
    await site.write_events()
    await site.dispatch_all()
    recording = await asyncpg.connect(serving_url, timeout=scaled(10))
    transaction = recording.transaction()
    await transaction.start()
    await recording.execute("SELECT FROM deliveries WHERE endpoint_id = $1 FOR UPDATE", site.endpoint_id)
    endpoints = PostgresWebhookEndpoints(database, Sealer(KEYRING))
    deleting = asyncio.create_task(endpoints.delete_endpoint(site.tenant_id, site.endpoint_id, 1, by=SYSTEM))
    while not await site.books.sql("SELECT pid FROM pg_locks WHERE NOT granted"):
        assert not deleting.done()
    await recording.execute("SELECT note_endpoint_response($1, false, 'status', 432000)", site.endpoint_id)
    await transaction.commit()
    await recording.close()
    assert await deleting == []
    assert [status for *_, status in await site.rows()] == ["canceled"]


async def test_what_one_tenant_has_much_of_is_not_started_before_anothers(
    site: Site, database: Database
) -> None:
    """A resend makes many that are older than all others."""
    await site.write_events(20)
    await site.dispatch_all()
    one = await new_site(database, site.books)
    await one.write_events()
    await one.dispatch_all()
    tenants = [each.tenant_id for each in await site.deliveries.list_unstarted(1000)]
    assert tenants.count(site.tenant_id) == 20
    next_ones = [each.tenant_id for each in await site.deliveries.list_unstarted(len(set(tenants)) + 1)]
    assert one.tenant_id in next_ones
    assert site.tenant_id in next_ones


async def test_deliveries_that_wait_for_long_hide_no_lost_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflows = Workflows()
    dispatcher = Dispatcher(site.deliveries, workflows)
    await site.write_events(2)
    await look_until_done(dispatcher)
    waiting, lost = workflows.of(site.tenant_id)
    for hours, each in ((2, waiting), (1, lost)):
        await site.books.sql(_SET_DUE, id=each.delivery_id, age=timedelta(hours=hours))
    workflows.open_ids = {each.workflow_id for each in workflows.started} - {lost.workflow_id}
    monkeypatch.setattr("activities.dispatcher._STARTS", 1)
    while overdue := await site.deliveries.list_overdue(timedelta(minutes=10), 1000):
        await dispatcher.sweep()
        assert await site.deliveries.list_overdue(timedelta(minutes=10), 1000) != overdue
    again = await site.books.sql(
        "SELECT id FROM deliveries WHERE tenant_id = :tenant AND run = 2", tenant=site.tenant_id
    )
    assert again == [(lost.delivery_id,)]
