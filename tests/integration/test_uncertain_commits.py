"""Whether a transaction that failed may be committed all the same."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text

from adapters.database.engine import Database
from devstack.servers.running import Servers
from domain.errors import DatabaseUnavailable
from tests.integration.conftest import new_database
from tests.support.eventually import eventually

CUT_OFF = "SELECT pg_terminate_backend(pg_backend_pid())"
REFUSED = "DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '55P03'; END $$"
# Runs a statement at the commit of a transaction.
AT_COMMIT = """
CREATE TABLE things (number int);
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {}; RETURN NULL; END $f$;
CREATE CONSTRAINT TRIGGER things_at_commit AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION at_commit()
"""


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


@pytest.mark.parametrize(("statement", "may_be_committed"), [(CUT_OFF, True), (REFUSED, False)])
async def test_a_statement_alone(database: Database, statement: str, *, may_be_committed: bool) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        await database.call(text(statement), {})
    assert raised.value.may_be_committed is may_be_committed


@pytest.mark.parametrize(
    ("statement", "may_be_committed"),
    [
        ("PERFORM pg_terminate_backend(pg_backend_pid())", True),
        ("RAISE EXCEPTION 'busy' USING ERRCODE = '40001'", False),
    ],
    ids=["cut off", "refused"],
)
async def test_a_commit(
    database: Database, admin: asyncpg.Connection, statement: str, *, may_be_committed: bool
) -> None:
    await admin.execute(AT_COMMIT.format(statement))
    with pytest.raises(DatabaseUnavailable) as raised:
        async with database.begin() as session:
            await session.execute(text("INSERT INTO things VALUES (1)"))
    assert raised.value.may_be_committed is may_be_committed


async def test_a_statement_before_the_commit(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        async with database.begin() as session:
            await session.execute(text(CUT_OFF))
    assert not raised.value.may_be_committed


async def test_a_connection_that_was_closed_before(database: Database, admin: asyncpg.Connection) -> None:
    async with database._connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'darkroom' AND datname = current_database()"
    )
    await eventually(driver.is_closed)
    with pytest.raises(DatabaseUnavailable) as raised:
        await database.call(text("SELECT 1"), {})
    assert not raised.value.may_be_committed


async def test_a_server_that_cannot_be_reached() -> None:
    database = Database("postgresql://darkroom@127.0.0.1:1/darkroom", pool_size=1)
    with pytest.raises(DatabaseUnavailable) as raised:
        await database.call(text("SELECT 1"), {})
    await database.close()
    assert not raised.value.may_be_committed
