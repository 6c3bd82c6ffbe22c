"""The DBOS side on a running stack: databases of its own, a client's account, a worker and an API."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from admin.bootstrap import migrate
from benchmarks.dbos import DATABASE_VARIABLE, POLLING_VARIABLE
from devstack.process.data_directory import DataDir
from devstack.process.supervisor import Command
from devstack.servers.app_processes import READY_TIMEOUT_SECONDS, ROOT, responds
from devstack.servers.postgres import Postgres
from devstack.stack.client_account import make_account
from devstack.stack.running import Stack

WORKER, API, BOTH = "dbos worker", "dbos api", "dbos worker and api"
MAX_PROCESSES = 2
APPLICATION_DATABASE, SYSTEM_DATABASE = "darkroom_on_dbos", "dbos_system"
STOP_TIMEOUT_SECONDS = 15.0
QUERY_TIMEOUT_SECONDS = 10.0
TENANT_ID = "ten_dbos"
CREDITS = 10_000


def with_database(url: str, name: str) -> str:
    """Return the address of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def create_databases(url: str) -> None:
    """Make both databases, and Darkroom's tables in the first. DBOS makes its own."""
    connection = await asyncpg.connect(url, timeout=QUERY_TIMEOUT_SECONDS)
    try:
        for name in (APPLICATION_DATABASE, SYSTEM_DATABASE):
            await connection.execute(f'CREATE DATABASE "{name}"', timeout=QUERY_TIMEOUT_SECONDS)
    finally:
        await connection.close(timeout=QUERY_TIMEOUT_SECONDS)


def start_side(
    stack: Stack, python: Path, *, polling_seconds: float, processes: int = MAX_PROCESSES
) -> Stack:
    """Start worker and API, or one process that is both; return the stack as a client of this side sees it.

    Waits until they are ready.
    """
    url = with_database(stack.servers.postgres.url, APPLICATION_DATABASE)
    migrate(url)
    env = side_environment(stack.environment, DataDir(stack.folder), url, polling_seconds)
    account = make_account(TENANT_ID, CREDITS, env, stack.supervisor.stop_flag)
    health_url = f"http://127.0.0.1:{env['WORKER_HEALTH_PORT']}/healthz"
    internal_url = f"http://127.0.0.1:{env['API_INTERNAL_PORT']}"
    api = (str(python), "-m", "benchmarks.dbos.api")
    if processes == MAX_PROCESSES:
        # The worker first: it makes DBOS's tables.
        _start(stack, WORKER, (str(python), "-m", "benchmarks.dbos.worker"), env, health_url)
        _start(stack, API, api, env, f"{internal_url}/readyz")
    else:
        _start(stack, BOTH, (*api, "--works"), env, f"{internal_url}/readyz")
    return replace(
        stack,
        api_url=env["PUBLIC_URL"],
        api_internal_url=internal_url,
        client=account,
        servers=replace(stack.servers, postgres=Postgres(url)),
        environment=env,
    )


def side_environment(
    ours: Mapping[str, str], data: DataDir, url: str, polling_seconds: float
) -> dict[str, str]:
    """Return Darkroom's settings, but for addresses of its own."""
    ports = {name: str(data.port(f"dbos_{name}")) for name in ("api", "api_internal", "worker_health")}
    return dict(ours) | {
        "DATABASE_URL": url,
        DATABASE_VARIABLE: with_database(url, SYSTEM_DATABASE),
        POLLING_VARIABLE: str(polling_seconds),
        "API_PORT": ports["api"],
        "API_INTERNAL_PORT": ports["api_internal"],
        "PUBLIC_URL": f"http://127.0.0.1:{ports['api']}",
        "WORKER_HEALTH_PORT": ports["worker_health"],
    }


def _start(stack: Stack, name: str, argv: tuple[str, ...], env: Mapping[str, str], ready_url: str) -> None:
    stack.supervisor.start(
        Command(
            name=name,
            argv=argv,
            env=dict(os.environ) | {"PYTHONUNBUFFERED": "1"} | dict(env),
            cwd=ROOT,
            stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
        )
    )
    stack.supervisor.wait_ready(name, lambda: responds(ready_url), timeout_seconds=READY_TIMEOUT_SECONDS)
