"""A database for these tests, with the tables that the migrations create."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.database.engine import Database
from admin.bootstrap import migrate
from devstack.servers.running import Servers
from tests.support.books import PostgresBooks
from tests.support.requests import new_id
from tests.support.time_limits import scaled

_POOL_SIZE = 30
_CONNECT_SECONDS = 10


@pytest.fixture(scope="session")
async def database_url(servers: Servers) -> str:
    """Return the URL of a migrated database in the real server."""
    url = await new_database(servers.postgres.url)
    # Alembic's environment runs an event loop, which cannot be inside this one.
    await asyncio.to_thread(migrate, url)
    return url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=_POOL_SIZE)
    yield database
    await database.close()


@pytest.fixture
def books(database: Database) -> PostgresBooks:
    return PostgresBooks(database)


async def new_database(server_url: str) -> str:
    """Create an empty database in that server; return its URL."""
    name = new_id("tests")
    connection = await asyncpg.connect(server_url, timeout=scaled(_CONNECT_SECONDS))
    try:
        await connection.execute(f'create database "{name}"', timeout=scaled(_CONNECT_SECONDS))
    finally:
        await connection.close(timeout=scaled(_CONNECT_SECONDS))
    return f"{server_url.rpartition('/')[0]}/{name}"
