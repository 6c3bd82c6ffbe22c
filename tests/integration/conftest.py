"""A database for these tests, with the tables that the migrations create, used as in production.

The tests have the rights of the role that serves, so that one which is missing fails here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from adapters.database.engine import Database
from adapters.database.roles import AUDITING_ROLE, ROLES, SERVING_ROLE
from admin.bootstrap import grant, migrate
from devstack.servers.running import Servers
from tests.support.books import PostgresBooks
from tests.support.requests import new_id
from tests.support.time_limits import scaled

_POOL_SIZE = 30
_CONNECT_SECONDS = 10
_PASSWORD = "p" * 32


@pytest.fixture(scope="session")
async def database_url(servers: Servers) -> str:
    """Return the owner's URL of a migrated database in the real server."""
    url = await new_database(servers.postgres.url)
    # Alembic's environment runs an event loop, which cannot be inside this one.
    await asyncio.to_thread(migrate, url)
    await grant(url)
    return url


@pytest.fixture(scope="session")
def serving_url(database_url: str) -> str:
    return url_of(SERVING_ROLE, database_url)


@pytest.fixture(scope="session")
def auditing_url(database_url: str) -> str:
    return url_of(AUDITING_ROLE, database_url)


@pytest.fixture(scope="session")
async def database(serving_url: str) -> AsyncIterator[Database]:
    database = Database(serving_url, pool_size=_POOL_SIZE)
    yield database
    await database.close()


@pytest.fixture
def books(database: Database) -> PostgresBooks:
    return PostgresBooks(database)


@pytest.fixture
async def owners_books(database_url: str) -> AsyncIterator[PostgresBooks]:
    """Open the same database with the rights of the tables' owner, whom no missing right stops."""
    owner = Database(database_url, pool_size=1)
    yield PostgresBooks(owner)
    await owner.close()


async def new_database(server_url: str) -> str:
    """Create an empty database in that server, and the roles if it has them not; return the owner's URL."""
    name = new_id("tests")
    connection = await asyncpg.connect(server_url, timeout=scaled(_CONNECT_SECONDS))
    try:
        await connection.execute(f'create database "{name}"', timeout=scaled(_CONNECT_SECONDS))
        for role in ROLES:
            with suppress(asyncpg.DuplicateObjectError):
                await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{_PASSWORD}'")
    finally:
        await connection.close(timeout=scaled(_CONNECT_SECONDS))
    return f"{server_url.rpartition('/')[0]}/{name}"


def url_of(role: str, url: str) -> str:
    """Return the same database's URL for another role."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{_PASSWORD}@{address}"))
