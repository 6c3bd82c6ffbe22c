"""What PostgreSQL says of itself that passes: read-only servers, stale plans, killed connections."""

import ssl
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text

from adapters.database.dsn import checked_dsn
from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.errors import DatabaseUnavailable
from tests.integration.conftest import new_database


@pytest.fixture
async def url(servers: Servers) -> str:
    return await new_database(servers.postgres.url)


@pytest.fixture
async def admin(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=1)
    yield database
    await database.close()


async def write(database: Database) -> None:
    async with database.begin() as session:
        await session.execute(text("INSERT INTO things VALUES (1)"))


async def test_a_server_that_only_reads_is_away_and_its_connection_is_dropped(
    database: Database, admin: asyncpg.Connection
) -> None:
    await admin.execute("CREATE TABLE things (number int)")
    await write(database)
    assert await database.healthy()
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    # As in a failover: the old connection is gone, and the next one meets a server that only reads.
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'darkroom'"
        " AND datname = current_database()"
    )
    with pytest.raises(DatabaseUnavailable):
        await write(database)
    with pytest.raises(DatabaseUnavailable):
        await write(database)
    assert not await database.healthy()

    await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')
    with pytest.raises(DatabaseUnavailable):
        await write(database)  # on the connection of before; it is dropped now
    await write(database)
    assert await database.healthy()


async def test_a_plan_that_a_migration_made_stale_passes(
    database: Database, admin: asyncpg.Connection
) -> None:
    await admin.execute("CREATE TABLE things (number int)")
    read = text("SELECT * FROM things")
    async with database.each() as session:
        await session.execute(read)
    await admin.execute("ALTER TABLE things ALTER COLUMN number TYPE bigint")
    with pytest.raises(DatabaseUnavailable):
        async with database.begin() as session:
            await session.execute(read)
    async with database.each() as session:
        await session.execute(read)


@pytest.mark.parametrize(
    "parameters",
    ["sslmode=disable", "sslmode=prefer&connect_timeout=5", "application_name=mine&target_session_attrs=any"],
)
async def test_libpq_parameters_work(url: str, parameters: str) -> None:
    database = Database(f"{url}?{parameters}", pool_size=1)
    assert await database.healthy()
    await database.close()


async def test_a_server_without_tls_is_not_used_where_tls_is_required(url: str) -> None:
    database = Database(f"{url}?sslmode=require", pool_size=1)
    with pytest.raises((DatabaseUnavailable, ssl.SSLError)):
        await database.healthy()
    await database.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://h/d", "must begin with postgresql://"),
        ("postgresql://u:secret@h/d?sslmode=on", "sslmode must be one of disable"),
        ("postgresql://u:secret@h/d?sslrootcert=/no/file", "sslrootcert names no file"),
        ("postgresql://u:secret@h/d?colour=red", "the parameter colour is not known"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_sentence_without_the_password(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        checked_dsn(url)
    assert "secret" not in str(raised.value)


async def test_a_pooler_of_transactions_needs_nothing_of_a_session(url: str) -> None:
    """Set nothing at the start of a session but the name, and prepare nothing that outlives a transaction."""
    database = Database(url, pool_size=1, pooler=True)
    for _ in range(2):
        async with database.each() as session:
            assert await session.scalar(text("SHOW lock_timeout")) == "0"
    async with database.begin() as session:
        prepared = (await session.execute(text("SELECT name FROM pg_prepared_statements"))).all()
    names = {name for (name,) in prepared}
    assert len(names) == len(prepared)
    assert all(name.startswith("darkroom_") for name in names)
    await database.close()
