"""Between the log of events and the workflows: nothing is lost, and nothing is made twice."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from activities.dispatcher import Dispatcher
from adapters.database.engine import Database
from adapters.database.sealed import Sealer
from adapters.database.webhook_endpoints import PostgresWebhookEndpoints
from domain.audit import SYSTEM
from domain.errors import TemporalUnavailable
from domain.webhooks import DeliveryInput
from tests.integration.webhooks.dispatch_site import WANTED, Site, Workflows, look_until_done, new_site
from tests.support.books import PostgresBooks
from tests.support.time_limits import scaled
from tests.support.webhook_sending import KEYRING

_EVENT = "SELECT write_event($1, NULL, 'credits.granted', '{}')"
_BATCH = 500


@pytest.fixture
async def site(database: Database, books: PostgresBooks) -> Site:
    return await new_site(database, books)


async def test_an_event_of_an_older_transaction_that_commits_later_is_not_lost(
    site: Site, serving_url: str
) -> None:
    early = await asyncpg.connect(serving_url, timeout=scaled(10))
    transaction = early.transaction()
    await transaction.start()
    await early.execute(_EVENT, site.tenant_id)
    await site.write_events()
    await site.dispatch_all()
    assert await site.rows() == []

    await transaction.commit()
    await early.close()
    await site.dispatch_all()
    assert len(await site.rows()) == 2


async def test_dispatchers_at_once_make_each_delivery_once(site: Site) -> None:
    await site.write_events(60)
    await asyncio.gather(*(site.deliveries.dispatch(7) for _ in range(30)))
    await site.dispatch_all()

    rows = await site.rows()
    assert len(rows) == len({event for _, event, _ in rows}) == 60


async def test_while_temporal_is_away_deliveries_wait_and_start_once_it_is_back(site: Site) -> None:
    await site.write_events(3)
    away, back = Workflows(away=True), Workflows()
    with pytest.raises(TemporalUnavailable):
        await look_until_done(Dispatcher(site.deliveries, away))
    assert len(await site.rows()) == 3

    await look_until_done(Dispatcher(site.deliveries, back))
    await look_until_done(Dispatcher(site.deliveries, back))
    ids = [row_id for row_id, _, _ in await site.rows()]
    assert sorted(each.delivery_id for each in back.of(site.tenant_id)) == sorted(ids)


async def test_one_whose_worker_died_before_the_start_is_started_by_another(site: Site) -> None:
    await site.write_events()
    await site.dispatch_all()  # and that worker is gone
    other = Workflows()
    await look_until_done(Dispatcher(site.deliveries, other))

    [started] = other.of(site.tenant_id)
    assert (started.workflow_id, started.run, started.first_number) == (started.delivery_id, 1, 1)


async def test_one_that_is_to_run_again_is_not_taken_for_started(site: Site) -> None:
    """It ended, and was sent again, before its first start was noted."""
    await site.write_events()
    await site.dispatch_all()
    first = [each for each in await site.deliveries.list_unstarted(1000) if each.tenant_id == site.tenant_id]
    await site.books.sql("UPDATE deliveries SET run = 2 WHERE id = :id", id=first[0].delivery_id)
    await site.deliveries.mark_started(first)
    again = [each for each in await site.deliveries.list_unstarted(1000) if each.tenant_id == site.tenant_id]
    assert [each.run for each in again] == [2]


async def test_one_whose_workflow_is_lost_gets_another(site: Site) -> None:
    await site.write_events(2)
    workflows = Workflows()
    dispatcher = Dispatcher(site.deliveries, workflows)
    await look_until_done(dispatcher)
    lost, running = workflows.of(site.tenant_id)
    await site.books.sql(
        "UPDATE deliveries SET started_at = now() - interval '1 hour', next_attempt_at = now() - interval"
        " '1 hour' WHERE tenant_id = :tenant",
        tenant=site.tenant_id,
    )
    workflows.open_ids = (running.workflow_id,)

    await dispatcher.sweep()
    await look_until_done(dispatcher)

    again = workflows.of(site.tenant_id)[2:]
    assert [(each.delivery_id, each.run) for each in again] == [(lost.delivery_id, 2)]
    assert again[0].workflow_id == f"{lost.delivery_id}-2"


async def test_no_endpoint_gets_what_is_older_than_itself(site: Site) -> None:
    await site.write_events()
    younger, _ = await PostgresWebhookEndpoints(site.books.database, Sealer(KEYRING)).add_endpoint(
        site.tenant_id, "https://example.com/", "", WANTED, max_endpoints=2, by=SYSTEM
    )
    await site.write_events()
    await site.dispatch_all()
    found = await site.books.sql(
        "SELECT endpoint_id, count(*) FROM deliveries WHERE tenant_id = :id GROUP BY 1", id=site.tenant_id
    )
    assert {tuple(row) for row in found} == {(site.endpoint_id, 2), (younger.id, 1)}


async def test_events_of_deliveries_are_never_delivered(site: Site) -> None:
    await site.books.sql(
        """UPDATE webhook_endpoints SET event_types = '["delivery.failed"]' WHERE id = :id""",
        id=site.endpoint_id,
    )
    await site.books.sql("SELECT write_event(:tenant, NULL, 'delivery.failed', '{}')", tenant=site.tenant_id)
    await site.dispatch_all()
    assert await site.rows() == []


async def test_a_log_that_is_read_again_makes_no_second_delivery(site: Site) -> None:
    """A restored server counts its transactions from lower numbers than the dump's cursor."""
    await site.write_events(2)
    await site.dispatch_all()
    before = await site.rows()
    await site.books.sql("UPDATE event_cursors SET transaction_id = 1 << 60")
    await site.write_events()
    await site.dispatch_all()

    after = await site.rows()
    assert after[:2] == before
    assert len(after) == 3


async def test_what_ended_long_ago_is_deleted_with_its_attempts(site: Site) -> None:
    await site.write_events(2)
    await site.dispatch_all()
    (old, _, _), (new, _, _) = await site.rows()
    for delivery_id, age in ((old, "31 days"), (new, "29 days")):
        await site.books.sql(
            "INSERT INTO delivery_attempts (delivery_id, number, duration_ms) VALUES (:id, 1, 1)",
            id=delivery_id,
        )
        await site.books.sql(
            "UPDATE deliveries SET status = 'succeeded', finished_at = now() - CAST(CAST(:age AS text)"
            " AS interval) WHERE id = :id",
            id=delivery_id,
            age=age,
        )
    await Dispatcher(site.deliveries, Workflows(), keeps=timedelta(days=30)).sweep()

    assert [row_id for row_id, _, _ in await site.rows()] == [new]
    kept = await site.books.sql(
        "SELECT delivery_id FROM delivery_attempts WHERE delivery_id IN (:old, :new)", old=old, new=new
    )
    assert kept == [(new,)]


class Broken(Workflows):
    """A bug keeps a delivery from being started, and nothing else."""

    async def start_delivery(self, delivery: DeliveryInput) -> None:
        raise ValueError("a bug of ours")


async def test_one_that_cannot_be_started_hides_none_whose_workflow_is_lost(site: Site) -> None:
    await site.write_events()
    workflows = Workflows()
    await look_until_done(Dispatcher(site.deliveries, workflows))
    [lost] = workflows.of(site.tenant_id)
    await site.books.sql(
        "UPDATE deliveries SET started_at = now() - interval '1 hour', next_attempt_at = now() - interval"
        " '1 hour' WHERE id = :id",
        id=lost.delivery_id,
    )
    await site.write_events()
    with pytest.raises(ValueError, match="a bug of ours"):
        await Dispatcher(site.deliveries, Broken()).look()
    [(run,)] = await site.books.sql("SELECT run FROM deliveries WHERE id = :id", id=lost.delivery_id)
    assert run == 2
