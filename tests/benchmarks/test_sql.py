"""The SQL of benchmarks fits the tables, and the counters that they read count."""

import asyncio

import asyncpg
import pytest

from admin.bootstrap import migrate
from benchmarks.contention.slots import SLOTS, Queue
from benchmarks.growth import fill_history
from benchmarks.lock_profile import lock_profile
from devstack.servers.running import Servers
from devstack.stack.client_account import TENANT_ID
from tests.integration.conftest import new_database
from tests.support.eventually import eventually

HISTORY = 100
_LOCK = "SELECT 1 FROM tenants WHERE id = 'ten_past_1' FOR UPDATE"
_UNBALANCED = "SELECT transfer_id FROM entries GROUP BY transfer_id HAVING sum(amount_credits) <> 0"


@pytest.fixture(scope="module")
async def url(servers: Servers) -> str:
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    await fill_history(url, HISTORY)
    return url


async def test_history_is_what_generations_leave_behind(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for table, rows in (("attempts", 1), ("inbox", 1), ("transfers", 2), ("entries", 4)):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == rows * HISTORY  # noqa: S608
        assert await connection.fetch(_UNBALANCED) == []
        own = await connection.fetchval("SELECT count(*) FROM generations WHERE tenant_id = $1", TENANT_ID)
        assert own == HISTORY / 2
    finally:
        await connection.close()


async def test_the_lock_profile_sees_who_waits_for_a_row(url: str) -> None:
    holder, waiter = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with holder.transaction(), lock_profile(url) as profile:
            await holder.execute(_LOCK)
            waiting = asyncio.create_task(waiter.execute(_LOCK))
            await eventually(lambda: profile.seen["row of tenants"] > 0)
        await waiting
        assert profile.most_at_a_row["row of tenants"] == 1
    finally:
        await holder.close()
        await waiter.close()


async def test_a_queue_has_so_many_that_wait(servers: Servers) -> None:
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    connection = await asyncpg.connect(url)
    try:
        await Queue(connection, size=300).fill()
        waiting = "SELECT count(*), count(DISTINCT tenant_id) FROM provider_slots WHERE granted_at IS NULL"
        count, tenants = await connection.fetchrow(waiting)
        assert count == 300 + SLOTS
        assert tenants > 1
    finally:
        await connection.close()
