"""Temporal as in production: its server on PostgreSQL, which `TEMPORAL_ADDRESS` names to the stack.

It uses a separate PostgreSQL from PATH: visibility needs the extension `btree_gin`, which the wheel lacks.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from benchmarks.temporal.build import temporal_server
from benchmarks.temporal.config import CONNECTIONS_MAX, ENVIRONMENT, write_config
from devstack.errors import InstallFailed, NotReady
from devstack.install import programs
from devstack.process import commands, data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Command, Supervisor
from devstack.servers import postgres, temporal

READY_TIMEOUT_SECONDS = 90.0
TOOL_TIMEOUT_SECONDS = 60.0
QUERY_TIMEOUT_SECONDS = 10.0
RETENTION = "24h"
DEBIAN_BINARIES = Path("/usr/lib/postgresql")
# Where the schema of each database is below the schema's folder.
SCHEMAS = {"temporal": "temporal", "temporal_visibility": "visibility"}


@contextmanager
def temporal_on_postgres(stop: StopFlag, log: Log) -> Iterator[dict[str, int]]:
    """Run a server on temporary data for the block; return the pids of its parts by name."""
    binaries = postgres_binaries()
    server = temporal_server(stop=stop, log=log)
    cli = programs.temporal(stop=stop, log=log)
    with ExitStack() as exits:
        data = DataDir(exits.enter_context(data_directory.temporary_folder()))
        exits.enter_context(data.held())
        supervisor = exits.enter_context(Supervisor(data.path, stop=stop, log=log))
        log("starting Temporal's server on PostgreSQL …")
        url = postgres.start(supervisor, data, log=log, binaries=binaries).url
        asyncio.run(_check_extension(url))
        _make_schemas(server, url, stop)
        address = _start_server(supervisor, data, server, cli, url)
        _make_namespace(cli, address, stop)
        exits.enter_context(_environment({"TEMPORAL_ADDRESS": address}))
        pids = supervisor.pids
        yield {"temporal": pids[temporal.NAME], "temporal's postgres": pids[postgres.NAME]}


def postgres_binaries(debian: Path = DEBIAN_BINARIES) -> Path:
    """Return the folder of `postgres` and `initdb`: from PATH, or Debian's. Raises InstallFailed."""
    if (found := shutil.which("postgres")) and shutil.which("initdb"):
        return Path(found).resolve().parent
    hidden = sorted(debian.glob("*/bin/initdb"))
    if hidden:
        return hidden[-1].parent
    raise InstallFailed(
        "Temporal's server needs a PostgreSQL with its contrib extensions, and there is no `postgres` and "
        "`initdb` on PATH. On Debian and Ubuntu: apt install postgresql"
    )


async def _check_extension(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=QUERY_TIMEOUT_SECONDS)
    try:
        found = await connection.fetchval("select 1 from pg_available_extensions where name = 'btree_gin'")
    finally:
        await connection.close(timeout=QUERY_TIMEOUT_SECONDS)
    if not found:
        raise InstallFailed(
            "The PostgreSQL on PATH lacks the extension btree_gin, which Temporal's visibility needs: "
            "install its contrib package (postgresql-contrib)"
        )


def _make_schemas(server: Path, url: str, stop: StopFlag) -> None:
    for database in CONNECTIONS_MAX:
        versions = server / "schema" / SCHEMAS[database] / "versioned"
        for arguments in (
            ("create-database",),
            ("setup-schema", "-v", "0.0"),
            ("update-schema", "-d", str(versions)),
        ):
            _sql_tool(server, url, database, arguments, stop)


def _sql_tool(server: Path, url: str, database: str, arguments: tuple[str, ...], stop: StopFlag) -> None:
    to = urlsplit(url)
    address = ("--ep", str(to.hostname), "-p", str(to.port), "-u", str(to.username), "--db", database)
    _run(
        [str(server / "sql"), "--plugin", "postgres12", *address, *arguments],
        dict(os.environ) | {"SQL_PASSWORD": str(to.password)},
        stop,
    )


def _start_server(supervisor: Supervisor, data: DataDir, server: Path, cli: Path, url: str) -> str:
    address = f"127.0.0.1:{write_config(data, url)}"
    supervisor.start(
        Command(
            name=temporal.NAME,
            argv=(str(server / "server"), "--root", str(data.path), "--env", ENVIRONMENT, "start"),
            env=_without_temporal(),
            cwd=data.path,
        )
    )
    supervisor.wait_ready(
        temporal.NAME,
        lambda: temporal.is_healthy(cli, address, supervisor.stop_flag),
        timeout_seconds=READY_TIMEOUT_SECONDS,
    )
    return address


def _make_namespace(cli: Path, address: str, stop: StopFlag) -> None:
    create = ("operator", "namespace", "create", "--namespace", temporal.NAMESPACE, "--retention", RETENTION)
    _run([str(cli), *create, "--address", address], _without_temporal(), stop)


def _run(argv: list[str], env: Mapping[str, str], stop: StopFlag) -> None:
    """Run a command. Raises NotReady with its error output."""
    done = commands.run(argv, env=env, timeout_seconds=TOOL_TIMEOUT_SECONDS, stop=stop)
    if done.returncode != 0:
        raise NotReady(f"`{Path(argv[0]).name} {argv[-1]}` failed: {(done.stderr or done.stdout)[-1000:]}")


def _without_temporal() -> dict[str, str]:
    """Return our environment without TEMPORAL_*, from which server and CLI read addresses and folders."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
