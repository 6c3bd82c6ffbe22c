"""The migrations create exactly the tables, indexes, checks and triggers that the models describe."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import SQLModel

import adapters.database.tables
import adapters.database.tables.triggers  # noqa: F401 - they are made with the tables
from adapters.database.dsn import async_engine
from admin.bootstrap import migrate
from devstack.install import postgres_binaries
from devstack.process import commands
from devstack.process.log import silent
from devstack.process.stop_flag import StopFlag
from devstack.process.unix_user import unprivileged_user
from devstack.servers.running import Servers
from tests.integration.conftest import new_database
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[2]
_DUMP_SECONDS = 30
_MIGRATE_SECONDS = 40


@pytest.fixture(scope="session")
def pg_dump() -> Path:
    """Return the `pg_dump` of the server's version: an older one refuses a newer server."""
    return postgres_binaries.find(unprivileged_user(), stop=StopFlag(), log=silent) / "pg_dump"


async def test_models_and_migrations_make_the_same_database(
    servers: Servers, database_url: str, pg_dump: Path
) -> None:
    modelled_url = await new_database(servers.postgres.url)
    engine = async_engine(modelled_url)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    await engine.dispose()

    modelled = await asyncio.to_thread(_statements, pg_dump, modelled_url)
    migrated = await asyncio.to_thread(_statements, pg_dump, database_url)

    # A dump that missed these would prove nothing about them.
    for kind in ("CREATE TABLE", "CREATE FUNCTION", "CREATE TRIGGER", "CREATE UNIQUE INDEX", "CHECK"):
        assert kind in migrated
    assert modelled == migrated


async def test_migrators_may_run_at_once_and_again(servers: Servers, pg_dump: Path) -> None:
    url = await new_database(servers.postgres.url)
    # Alembic keeps its state in module globals, so migrators at once are processes, as in a deployment.
    ended = await asyncio.gather(*(asyncio.to_thread(_migrate_in_a_process, url) for _ in range(2)))
    assert [migrator.returncode for migrator in ended] == [0, 0], [migrator.stderr for migrator in ended]
    before = await asyncio.to_thread(_statements, pg_dump, url)
    assert "CREATE TABLE public.generations" in before
    await asyncio.to_thread(migrate, url)
    assert await asyncio.to_thread(_statements, pg_dump, url) == before


def _migrate_in_a_process(url: str) -> subprocess.CompletedProcess[str]:
    return commands.run(
        [sys.executable, "-c", "import os, admin.bootstrap as b; b.migrate(os.environ['DATABASE_URL'])"],
        env=os.environ | {"DATABASE_URL": url},
        timeout_seconds=scaled(_MIGRATE_SECONDS),
        stop=StopFlag(),
        cwd=ROOT,
    )


def _statements(pg_dump: Path, url: str) -> str:
    """Return the schema as SQL, without Alembic's table and what differs between dumps."""
    dumped = commands.run(
        [
            str(pg_dump),
            "--schema-only",
            "--no-privileges",
            "--no-comments",
            "--exclude-table=alembic_version",
            f"--dbname={url}",
        ],
        env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
        timeout_seconds=scaled(_DUMP_SECONDS),
        stop=StopFlag(),
    )
    assert dumped.returncode == 0, dumped.stderr
    noise = ("\\restrict ", "\\unrestrict ")
    return "\n".join(line for line in dumped.stdout.splitlines() if not line.startswith(noise))
