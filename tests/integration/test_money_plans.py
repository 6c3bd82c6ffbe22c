"""Usage events and the check of the books read by indexes, in tables of a busy installation."""

import asyncio
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import TextClause

from adapters.database import book_checks, book_sums, erasure, usage_outbox, usage_resending
from admin.bootstrap import migrate
from devstack.servers.running import Servers
from tests.integration.conftest import new_database

pytestmark = pytest.mark.slow

_FILL = """
SET session_replication_role = replica;
INSERT INTO tenants (id, name) SELECT 'ten_' || n, 'many' FROM generate_series(0, 199) AS n;
INSERT INTO accounts (id, tenant_id, kind, balance_credits)
    SELECT 'ten_' || n || ':' || kind, 'ten_' || n, kind, 0
    FROM generate_series(0, 199) AS n, unnest(ARRAY['issued', 'available', 'held', 'spent', 'owed']) AS kind;
INSERT INTO events (transaction_id, tenant_id, type, data)
    SELECT n / 400, 'ten_' || n % 200, 'credits.settled',
        '{"amount_credits": 4, "transfer_id": "gen_1:settle"}'
    FROM generate_series(1, 200000) AS n;
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
    n, price_credits, status, stage, finished_at)
    SELECT 'gen_' || n, 'ten_' || n % 200, 'f', 'm', 'fal', 'e', '', '{}', '{}', 1, 4, status,
        CASE status WHEN 'queued' THEN 'throttled' ELSE status END,
        CASE status WHEN 'completed' THEN now() END
    FROM (
        SELECT n, CASE WHEN n % 1000 = 3 THEN 'queued' ELSE 'completed' END AS status
        FROM generate_series(0, 99999) AS n
    ) AS made;
INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits)
    SELECT 'gen_' || n / 2 || CASE n % 2 WHEN 0 THEN ':hold' ELSE ':settle' END, 'ten_' || n / 2 % 200,
        CASE n % 2 WHEN 0 THEN 'hold' ELSE 'settle' END, 'gen_' || n / 2 || ':hold', 'gen_' || n / 2, 4
    FROM generate_series(0, 199999) AS n;
INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)
    SELECT id, tenant_id || ':' || CASE kind WHEN 'hold' THEN 'held' ELSE 'spent' END, 0, 0 FROM transfers;
INSERT INTO lots (id, tenant_id, reference, category, priority, granted_credits, remaining_credits,
    voided_credits, closed_at)
    SELECT 'lot_' || n, 'ten_' || n % 200, 'r', 'paid', 50, 1, CASE n % 50 WHEN 0 THEN 1 ELSE 0 END,
        CASE n % 50 WHEN 0 THEN 0 ELSE 1 END, CASE WHEN n % 50 > 0 THEN now() - interval '9 days' END
    FROM generate_series(0, 49999) AS n;
INSERT INTO lot_entries (lot_id, transfer_id, remaining_change, held_change)
    SELECT 'lot_' || n / 4, 'gen_' || n / 2 || CASE n % 2 WHEN 0 THEN ':hold' ELSE ':settle' END, 0, 0
    FROM generate_series(0, 199999) AS n;
INSERT INTO usage_outbox (transfer_id) SELECT id FROM transfers WHERE kind = 'settle';
UPDATE event_cursors SET transaction_id = 100, event_id = 0;
SET session_replication_role = origin;
ANALYZE;
"""
_LARGE = {"events", "transfers", "entries", "lots", "lot_entries", "generations"}
_SCANS = "SELECT relname, seq_scan FROM pg_stat_xact_user_tables"
_VALUES = {
    "tenants": "ARRAY['ten_3', 'ten_4']",
    "marked": "ARRAY['ten_3:held']",
    "entry_ids": "ARRAY[100]",
    "credits": "ARRAY[0]",
    "held": "ARRAY[0]",
    "limit": "100",
    "lots": "200",
    "whole": "false",
    "after": "''",
    "only": "NULL",
    "sender": "'me'",
    "seconds": "30",
    "days": "30",
    "tenant": "'ten_3'",
    "since": "'2020-01-01'",
    "positions": "ARRAY[1, 2]",
    "id": "'gen_7:settle'",
}
_STEPS: dict[str, TextClause] = {
    "look": usage_outbox._LOOK,
    "collect": usage_outbox._COLLECT,
    "unsent": usage_outbox._UNSENT,
    "sent": usage_outbox._MARK_SENT,
    "backlog": usage_outbox._BACKLOG,
    "purge": erasure._PURGE_EVENTS,
    "resend": usage_resending._ADD,
    "charged_at": usage_resending._CHARGED_AT,
    "accounts": book_sums._ACCOUNTS,
    "transfers": book_sums._TRANSFERS,
    "lots": book_sums._LOTS,
    "balances": book_checks._BALANCES,
    "holds": book_checks._HOLDS,
    "marks": book_checks._LOAD_MARKS,
}


def written_out(step: TextClause, **values: str) -> str:
    """Return a statement with its values in it."""
    known = _VALUES | values
    filled = re.sub(r"(?<![:\\\w]):(\w+)", lambda found: known[found[1]], step.text)
    return filled.replace("\\:", ":")


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
    values = {"after": "0"} if name == "resend" else {}
    async with connection.transaction():
        before = dict(await connection.fetch(_SCANS))
        await connection.execute(written_out(_STEPS[name], **values))
        after = dict(await connection.fetch(_SCANS))
    assert {table for table in _LARGE if after.get(table, 0) > before.get(table, 0)} == set()


@pytest.mark.parametrize("name", ["look", "collect"])
async def test_only_what_is_new_is_read_of_the_log(connection: asyncpg.Connection, name: str) -> None:
    read = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'events'"
    transaction = connection.transaction()
    await transaction.start()
    before = await connection.fetchval(read)
    await connection.execute(written_out(_STEPS[name]))
    assert await connection.fetchval(read) - before <= 100 + 1
    await transaction.rollback()


async def test_the_check_sees_a_table_that_is_read_as_a_whole(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        before = dict(await connection.fetch(_SCANS))
        await connection.execute("SELECT count(*) FROM entries WHERE amount_credits > 5")
        after = dict(await connection.fetch(_SCANS))
    assert after["entries"] > before.get("entries", 0)
