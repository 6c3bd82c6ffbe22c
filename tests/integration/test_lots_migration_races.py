"""Migration 0016 while processes of the version before go on: no step is half in lots."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from adapters.database.engine import Database
from devstack.servers.running import Servers
from tests.integration.before_lots import OldVersion, alembic, connect, database_before_lots
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually

_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_CREATE = """
INSERT INTO generations (
    id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata, n, price_credits,
    status, stage
) VALUES ('new', 'ten', '', 'm', 'fal', 'e', 'p', '{}', '{}', 1, 5, 'created', 'created')
"""


@pytest.fixture
async def url(servers: Servers) -> str:
    """Return a database at 0015 with three open holds and one to come, as old processes made them."""
    url = await database_before_lots(servers)
    async with old_version(url) as old:
        await old.tenant("ten")
        await old.grant("ten", 100, "first")
        await old.job("ten", "settled", 9, n=3, images=2)
        await old.job("ten", "refunded", 7)
        await old.job("ten", "open", 2)
        await old.connection.execute(_CREATE)
    await alembic("upgrade", url, "0015")
    return url


@asynccontextmanager
async def old_version(url: str) -> AsyncIterator[OldVersion]:
    connection = await connect(url)
    try:
        yield OldVersion(connection)
    finally:
        await connection.close()


async def step(url: str, name: str) -> None:
    """Take a step on a connection of its own."""
    async with old_version(url) as old:
        steps: dict[str, Awaitable[None]] = {
            "reserve": old.reserve("new"),
            "settle": old.settle("ten_settled"),
            "refund": old.refund("ten_refunded"),
        }
        chosen = steps.pop(name)
        for other in steps.values():
            other.close()  # type: ignore[attr-defined]  # a coroutine
        await chosen


async def until_waiting(watcher: asyncpg.Connection, count: int, *, unless: asyncio.Task[None]) -> None:
    async def are_waiting() -> bool:
        return unless.done() or await watcher.fetchval(_WAITING) >= count

    await eventually(are_waiting)


async def assert_as_if_in_turn(url: str) -> None:
    database = Database(url, pool_size=1)
    try:
        books = PostgresBooks(database)
        balance = await books.balance("ten")
        assert (balance.available, balance.held, balance.spent) == (100 - 6 - 2 - 5, 2 + 5, 6)
        await books.assert_consistent("ten")
    finally:
        await database.close()


STEPS = ("reserve", "settle", "refund")


async def test_steps_that_begin_while_it_runs_go_on_in_lots(url: str) -> None:
    async with AsyncExitStack() as stack:
        blocker, watcher = [(await stack.enter_async_context(old_version(url))).connection for _ in range(2)]
        async with blocker.transaction():
            # What the migration fills last.
            await blocker.execute("LOCK TABLE usage_days IN SHARE MODE")
            migrating = asyncio.create_task(alembic("upgrade", url, "0016"))
            await until_waiting(watcher, 1, unless=migrating)
            stepping = [asyncio.create_task(step(url, name)) for name in STEPS]
            await until_waiting(watcher, 1 + len(STEPS), unless=migrating)
        await asyncio.gather(migrating, *stepping)
    await assert_as_if_in_turn(url)


async def test_it_waits_for_steps_that_are_under_way(url: str) -> None:
    async with AsyncExitStack() as stack:
        blocker, watcher = [(await stack.enter_async_context(old_version(url))).connection for _ in range(2)]
        async with blocker.transaction():
            await blocker.execute("SELECT FROM accounts WHERE id = 'ten:available' FOR UPDATE")
            stepping = [asyncio.create_task(step(url, name)) for name in STEPS]
            await until_waiting(watcher, len(STEPS), unless=stepping[0])
            migrating = asyncio.create_task(alembic("upgrade", url, "0016"))
            await until_waiting(watcher, 1 + len(STEPS), unless=migrating)
        await asyncio.gather(migrating, *stepping)
    await assert_as_if_in_turn(url)
