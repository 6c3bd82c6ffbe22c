"""What the roles beside the tables' owner may do, on real PostgreSQL.

That the service can do all its work as the serving role is shown by every other test here and in
tests/contracts: they run as that role.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column, MetaData, Table, Text
from sqlmodel import SQLModel

import adapters.database.tables  # noqa: F401 - all of them
from adapters.database.roles import (
    AUDITING_ROLE,
    SECRET_COLUMNS,
    SERVING_RIGHTS,
    SERVING_ROLE,
    grant_rights,
    statements,
)
from admin.bootstrap import grant, migrate
from devstack.process import commands
from devstack.process.stop_flag import StopFlag
from devstack.servers.running import Servers
from tests.integration.conftest import new_database, url_of
from tests.integration.test_migrations import pg_dump
from tests.support.books import PostgresBooks
from tests.support.requests import new_id
from tests.support.time_limits import scaled

__all__ = ["pg_dump"]

_SECONDS = 20
_SECRET_NAMES = ("secret", "password", "token", "hash", "private")
_ALL_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
TABLES = sorted(SQLModel.metadata.tables)


@pytest.fixture
async def serving(serving_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(serving_url, timeout=scaled(_SECONDS))
    yield connection
    await connection.close(timeout=scaled(_SECONDS))


@pytest.fixture
async def auditing(auditing_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(auditing_url, timeout=scaled(_SECONDS))
    yield connection
    await connection.close(timeout=scaled(_SECONDS))


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url, timeout=scaled(_SECONDS))
    yield connection
    await connection.close(timeout=scaled(_SECONDS))


def test_every_table_has_its_rights_declared() -> None:
    assert SERVING_RIGHTS.keys() == set(TABLES)
    for table, columns in SECRET_COLUMNS.items():
        assert columns <= set(SQLModel.metadata.tables[table].columns.keys())


def test_every_column_that_is_named_like_a_secret_is_kept_from_auditors() -> None:
    found = {
        (table, column)
        for table in TABLES
        for column in SQLModel.metadata.tables[table].columns.keys()  # noqa: SIM118 - not a mapping
        if any(word in column for word in _SECRET_NAMES)
    }

    assert found == {(table, column) for table, columns in SECRET_COLUMNS.items() for column in columns}


def test_a_table_whose_rights_are_not_declared_is_refused() -> None:
    metadata = MetaData()
    Table("of_tomorrow", metadata, Column("id", Text))

    with pytest.raises(KeyError, match="of_tomorrow"):
        list(statements(SERVING_ROLE, metadata))


@pytest.mark.parametrize("table", TABLES)
async def test_the_serving_role_has_exactly_what_is_declared(owner: asyncpg.Connection, table: str) -> None:
    assert await _rights(owner, SERVING_ROLE, table) == set(SERVING_RIGHTS[table])


@pytest.mark.parametrize("table", TABLES)
async def test_the_auditing_role_reads_and_does_nothing_else(owner: asyncpg.Connection, table: str) -> None:
    assert await _rights(owner, AUDITING_ROLE, table) == (set() if table in SECRET_COLUMNS else {"SELECT"})


@pytest.mark.parametrize("table", ["transfers", "entries"])
def test_the_ledger_is_only_added_to(table: str) -> None:
    assert set(SERVING_RIGHTS[table]) == {"SELECT", "INSERT"}


async def test_both_may_read_the_revision_and_not_change_it(owner: asyncpg.Connection) -> None:
    for role in (SERVING_ROLE, AUDITING_ROLE):
        assert await _rights(owner, role, "alembic_version") == {"SELECT"}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE transfers DISABLE TRIGGER ALL",
        "ALTER TABLE generations DISABLE TRIGGER generations_forward",
        "DROP TRIGGER transfers_immutable ON transfers",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END'",
        "ALTER FUNCTION reserve_credits STABLE",
        "SET session_replication_role = replica",
        "UPDATE transfers SET amount_credits = 0",
        "DELETE FROM transfers",
        "UPDATE entries SET amount_credits = 0",
        "DELETE FROM entries",
        "TRUNCATE generations CASCADE",
        "TRUNCATE transfers, entries",
        "DROP TABLE tenants CASCADE",
        "ALTER TABLE accounts DROP CONSTRAINT accounts_no_overdraft",
        "CREATE TABLE of_ours (id int)",
        "CREATE TEMPORARY TABLE of_ours (id int)",
        "CREATE SCHEMA of_ours",
        "DELETE FROM api_keys",
        "UPDATE alembic_version SET version_num = '0001'",
        "ALTER ROLE darkroom_serving SUPERUSER",
    ],
)
async def test_the_serving_role_is_refused(
    serving: asyncpg.Connection, owner: asyncpg.Connection, statement: str
) -> None:
    await _close_the_database(owner)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await serving.execute(statement, timeout=scaled(_SECONDS))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret_sha256 FROM api_keys",
        "SELECT * FROM api_keys",
        "SELECT to_jsonb(api_keys) FROM api_keys",
        "COPY api_keys TO STDOUT",
        "SELECT id FROM generations FOR UPDATE",
        "INSERT INTO tenants (id, name) VALUES ('ten_x', 'x')",
        "UPDATE accounts SET balance_credits = 0",
        "DELETE FROM input_files",
        "TRUNCATE inbox",
        "ALTER TABLE transfers DISABLE TRIGGER ALL",
        "CREATE TABLE of_ours (id int)",
        "SELECT * FROM reserve_credits('gen_x')",
    ],
)
async def test_the_auditing_role_is_refused(auditing: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await auditing.execute(statement, timeout=scaled(_SECONDS))


async def test_an_auditor_reads_all_the_rest(auditing: asyncpg.Connection, books: PostgresBooks) -> None:
    tenant_id = await books.tenant(25)

    for name, table in SQLModel.metadata.tables.items():
        hidden = SECRET_COLUMNS.get(name, frozenset())
        columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in hidden)
        await auditing.fetch(f'SELECT {columns} FROM "{name}" LIMIT 1', timeout=scaled(_SECONDS))  # noqa: S608
    granted = await auditing.fetchval(
        "SELECT sum(amount_credits) FROM transfers WHERE tenant_id = $1", tenant_id
    )
    assert granted == 25


async def test_rights_that_were_given_by_hand_are_taken_back(
    database_url: str, owner: asyncpg.Connection, serving: asyncpg.Connection
) -> None:
    await owner.execute(f"GRANT UPDATE ON transfers TO {SERVING_ROLE}")
    await owner.execute(f"GRANT SELECT (secret_sha256) ON api_keys TO {AUDITING_ROLE}")

    assert await grant_rights(database_url) == []

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await serving.execute("UPDATE transfers SET amount_credits = 0")
    readable = "SELECT has_column_privilege($1, 'api_keys', $2, 'SELECT')"
    assert await owner.fetchval(readable, AUDITING_ROLE, "secret_sha256") is False
    assert await owner.fetchval(readable, AUDITING_ROLE, "tenant_id") is True


async def test_rights_may_be_set_at_once_and_again(database_url: str, owner: asyncpg.Connection) -> None:
    assert await asyncio.gather(*(grant_rights(database_url) for _ in range(4))) == [[]] * 4

    assert await _rights(owner, SERVING_ROLE, "transfers") == {"SELECT", "INSERT"}


async def test_without_the_roles_nothing_is_granted_and_a_sentence_says_so(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    monkeypatch.setattr("adapters.database.roles.ROLES", ("nobody_serving", "nobody_auditing"))

    with caplog.at_level("INFO", logger="darkroom.admin"):
        await grant(url)

    assert "no role nobody_serving and no role nobody_auditing" in caplog.text


async def test_an_auditor_dumps_everything_but_the_keys(
    auditing_url: str, books: PostgresBooks, pg_dump: Path
) -> None:
    """As docs/operations.md says: the tables with secrets have to be named, and are then left out."""
    tenant_id = await books.tenant(5)

    whole = await asyncio.to_thread(_dump, pg_dump, auditing_url, ())
    left_out = tuple(f"--exclude-table={table}" for table in SECRET_COLUMNS)
    without = await asyncio.to_thread(_dump, pg_dump, auditing_url, left_out)

    assert whole.returncode != 0
    assert "permission denied for table api_keys" in whole.stderr
    assert without.returncode == 0, without.stderr
    assert tenant_id in without.stdout
    assert "secret_sha256" not in without.stdout


async def test_a_login_of_another_name_takes_the_rights(servers: Servers) -> None:
    """As where a provider of PostgreSQL names the logins."""
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    await grant(url)
    owner = await asyncpg.connect(url, timeout=scaled(_SECONDS))
    await owner.execute("CREATE ROLE of_another_name LOGIN PASSWORD 'x' IN ROLE darkroom_serving")
    try:
        await owner.execute("SET ROLE of_another_name")
        await owner.execute("INSERT INTO tenants (id, name) VALUES ('ten_x', 'x')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute("DELETE FROM tenants")
    finally:
        await owner.execute("RESET ROLE; DROP ROLE of_another_name")
        await owner.close(timeout=scaled(_SECONDS))


async def test_an_owner_who_is_no_superuser_sees_the_processes_that_serve(
    owner: asyncpg.Connection, serving_url: str
) -> None:
    """A migration that breaks old processes looks for them by name (docs/adr/0008)."""
    name, plain = new_id("process"), new_id("plain")
    process = await asyncpg.connect(
        serving_url, timeout=scaled(_SECONDS), server_settings={"application_name": name}
    )
    await owner.execute(f"CREATE ROLE {plain}")
    try:
        await owner.execute(f"SET ROLE {plain}")
        seen = await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = $1",
            name,
        )
    finally:
        await owner.execute(f"RESET ROLE; DROP ROLE {plain}")
        await process.close(timeout=scaled(_SECONDS))

    assert seen == 1


def test_the_urls_of_these_tests_name_the_roles(serving_url: str, auditing_url: str) -> None:
    assert url_of(SERVING_ROLE, auditing_url) == serving_url


async def _rights(owner: asyncpg.Connection, role: str, table: str) -> set[str]:
    """Return the rights that a role has to the whole table."""
    has: Sequence[Any] = await owner.fetch(
        "SELECT kind FROM unnest($3::text[]) AS kind WHERE has_table_privilege($1, $2, kind)",
        role,
        table,
        list(_ALL_RIGHTS),
    )
    return {str(row["kind"]) for row in has}


async def _close_the_database(owner: asyncpg.Connection) -> None:
    """Take from everybody what deploy/postgres/databases.sql takes."""
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    await owner.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {SERVING_ROLE}, {AUDITING_ROLE}')


def _dump(pg_dump: Path, url: str, arguments: Sequence[str]) -> Any:
    return commands.run(
        [str(pg_dump), "--schema=public", *arguments, url],
        env={},
        timeout_seconds=scaled(_SECONDS),
        stop=StopFlag(),
    )
