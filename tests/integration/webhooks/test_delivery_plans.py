"""Deliveries are looked up by indexes, in tables as large as those of a busy installation."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.database.deliveries import UNSTARTED
from admin.bootstrap import migrate
from devstack.servers.running import Servers
from tests.integration.conftest import new_database

pytestmark = pytest.mark.slow

_FILL = """
SET session_replication_role = replica;
INSERT INTO tenants (id, name) SELECT 'ten_' || n, 'many' FROM generate_series(0, 199) AS n;
INSERT INTO webhook_endpoints (id, tenant_id, url, secret, hint)
    SELECT 'whe_' || n, 'ten_' || n % 200, 'https://example.com/', 's', 'h' FROM generate_series(0, 999) AS n;
INSERT INTO events (transaction_id, tenant_id, type, data)
    SELECT n / 400, 'ten_' || n % 200,
        CASE WHEN n % 10 = 0 THEN 'generation.completed' ELSE 'credits.held' END, '{}'
    FROM generate_series(1, 200000) AS n;
INSERT INTO deliveries (id, tenant_id, endpoint_id, event_id, type, data, status, started_at, next_attempt_at,
    finished_at)
    SELECT 'msg_' || n, 'ten_' || n % 200, 'whe_' || n % 1000, n, 'generation.completed', '{}',
        CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'succeeded' END, CASE WHEN n % 1000 > 0 THEN now() END,
        CASE WHEN n % 100 = 0 THEN now() END, CASE WHEN n % 100 > 0 THEN now() - make_interval(secs => n) END
    FROM generate_series(1, 200000) AS n;
INSERT INTO delivery_attempts (delivery_id, number, duration_ms)
    SELECT 'msg_' || n, 1, 1 FROM generate_series(1, 200000) AS n;
UPDATE event_cursors SET transaction_id = 100, event_id = 0;
SET session_replication_role = origin;
ANALYZE;
"""
_LARGE = {"events", "deliveries", "delivery_attempts"}
_SCANS = "SELECT relname, seq_scan FROM pg_stat_xact_user_tables"
_STEPS = {
    "dispatch": "SELECT * FROM dispatch_events(500)",
    "unstarted": UNSTARTED.replace(":limit", "100"),
    "overdue": "SELECT id FROM deliveries WHERE status = 'pending' AND started_at IS NOT NULL"
    " AND next_attempt_at < now() - interval '10 minutes' ORDER BY next_attempt_at LIMIT 100",
    "purge": "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries"
    " WHERE finished_at < now() - interval '2 days' ORDER BY finished_at LIMIT 100 FOR UPDATE SKIP LOCKED)",
    "record": "SELECT record_delivery_attempt('msg_100', 2, 'succeeded', 204, 5, NULL, '', NULL, 432000)",
    "resend": "SELECT * FROM resend_deliveries('whe_7', now() - interval '1 hour', 100)",
    "list": "SELECT * FROM deliveries WHERE endpoint_id = 'whe_7' ORDER BY created_at DESC, id DESC LIMIT 20",
}


@pytest.fixture(scope="module")
async def connection(servers: Servers) -> AsyncIterator[asyncpg.Connection]:
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    connection = await asyncpg.connect(url)
    await connection.execute(_FILL)
    yield connection
    await connection.close()


@pytest.mark.parametrize("name", _STEPS)
async def test_no_step_reads_a_whole_table(connection: asyncpg.Connection, name: str) -> None:
    async with connection.transaction():
        before = dict(await connection.fetch(_SCANS))
        await connection.execute(_STEPS[name])
        after = dict(await connection.fetch(_SCANS))
    assert {table for table in _LARGE if after.get(table, 0) > before.get(table, 0)} == set()


async def test_without_an_endpoint_events_are_passed_over_unread(connection: asyncpg.Connection) -> None:
    cursor = "SELECT transaction_id, event_id FROM event_cursors WHERE name = 'deliveries'"
    read = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'events'"
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("UPDATE webhook_endpoints SET deleted_at = now()")
    before, unread = await connection.fetchrow(cursor), await connection.fetchval(read)
    found = await connection.fetchrow("SELECT * FROM dispatch_events(500)")
    after, fetched = await connection.fetchrow(cursor), await connection.fetchval(read)
    await transaction.rollback()

    assert tuple(found) == (0, 0, False)
    assert after > before
    assert fetched - unread <= 2, "each look fetches the first"


async def test_the_check_sees_a_table_that_is_read_as_a_whole(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        before = dict(await connection.fetch(_SCANS))
        await connection.execute("SELECT count(*) FROM deliveries WHERE data = '{}'")
        after = dict(await connection.fetch(_SCANS))
    assert after["deliveries"] > before.get("deliveries", 0)
