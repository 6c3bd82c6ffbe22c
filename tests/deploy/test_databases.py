"""deploy/postgres/databases.sql on a real server, run by psql as in PostgreSQL's image."""

import subprocess
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from devstack.install import postgres_binaries
from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import silent
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Supervisor
from devstack.process.unix_user import unprivileged_user
from devstack.servers import postgres
from tests.deploy.compose_file import ROOT, Service
from tests.support.time_limits import scaled

TEMPORAL_DATABASES = ("temporal", "temporal_visibility")


@pytest.fixture
def server_url() -> Iterator[str]:
    """Start a separate server, as roles and databases with these names may exist on another."""
    with (
        data_directory.temporary_folder() as folder,
        DataDir(folder).held(),
        Supervisor(folder, stop=StopFlag(), log=silent) as supervisor,
    ):
        yield postgres.start(supervisor, DataDir(folder), log=silent, is_durable=False).url


@pytest.fixture
async def superuser(server_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server_url, timeout=scaled(10))
    yield connection
    await connection.close()


def create_databases(server_url: str, environment: dict[str, str]) -> None:
    psql = postgres_binaries.find(unprivileged_user(), stop=StopFlag(), log=silent) / "psql"
    made = subprocess.run(  # noqa: S603
        [psql, server_url, "--no-psqlrc", "-f", ROOT / "deploy" / "postgres" / "databases.sql"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=scaled(30),
    )
    assert made.returncode == 0, made.stderr
    assert not any(password in made.stdout + made.stderr for password in environment.values())


async def test_each_role_owns_its_databases_and_a_second_run_changes_nothing(
    server_url: str, superuser: asyncpg.Connection, compose: dict[str, Service]
) -> None:
    environment = compose["postgresql"]["environment"]

    create_databases(server_url, environment)
    create_databases(server_url, environment)

    owners = await superuser.fetch(
        "SELECT datname, pg_get_userbyid(datdba), has_database_privilege('pg_monitor', oid, 'CONNECT')"
        " FROM pg_database WHERE datname = ANY ($1) ORDER BY datname",
        ["darkroom", *TEMPORAL_DATABASES],
    )
    assert [tuple(row) for row in owners] == [
        ("darkroom", "darkroom", False),
        ("temporal", "temporal", False),
        ("temporal_visibility", "temporal", False),
    ]


async def test_temporal_enters_with_its_password_and_is_no_superuser(
    server_url: str, superuser: asyncpg.Connection, compose: dict[str, Service]
) -> None:
    environment = compose["postgresql"]["environment"]
    create_databases(server_url, environment)
    account = {"user": "temporal", "password": environment["TEMPORAL_DB_PASSWORD"], "timeout": 10}

    temporal = await asyncpg.connect(server_url, database="temporal", **account)
    is_superuser = await temporal.fetchval("SELECT usesuper FROM pg_user WHERE usename = current_user")
    await temporal.execute("CREATE TABLE its_own (id int)")
    await temporal.close()

    assert is_superuser is False
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(server_url, database="darkroom", **account)
