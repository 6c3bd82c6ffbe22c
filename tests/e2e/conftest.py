"""API and worker as separate processes, on the real servers and the simulator."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.tenants import PostgresTenants
from admin.bootstrap import bootstrap
from composition import ServiceSettings
from devstack.process.ports import pick_free
from devstack.servers.running import Servers
from domain.auth import Scope
from tests.conftest import namespaced_client
from tests.simulator.process import KEY, REPOSITORY, SimulatorProcess
from tests.support.eventually import eventually
from tests.support.minio_clients import minio_client
from tests.support.time_limits import scaled

_STOP_SECONDS = 20


@dataclass
class Deployment:
    """Everything but a worker is running."""

    environment: dict[str, str]
    settings: ServiceSettings
    database: Database
    simulator: SimulatorProcess

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, *arguments], cwd=REPOSITORY, env=self.environment | settings
        )

    async def new_client(self) -> httpx.AsyncClient:
        """Return a client of a new tenant with 10 credits."""
        tenant_id = await PostgresTenants(self.database).create("crash test")
        await PostgresCreditAccounts(self.database).grant(tenant_id, 10, "test")
        key = await PostgresTenants(self.database).create_key(tenant_id, list(Scope))
        headers = {"Authorization": f"Bearer {key.api_key}"}
        return httpx.AsyncClient(base_url=self.settings.public_url, headers=headers, trust_env=False)

    async def tenant_of(self, client: httpx.AsyncClient) -> str:
        """Return whose client it is."""
        api_key = client.headers["Authorization"].removeprefix("Bearer ")
        return (await PostgresTenants(self.database).authenticate(api_key)).tenant_id

    async def count(self, statement: str, **values: Any) -> int:
        """Return the one number that a statement selects."""
        async with self.database.begin() as session:
            return int(await session.scalar(text(statement), values) or 0)

    async def log(self, prompt: str) -> list[dict[str, Any]]:
        """Return the simulator's log of the jobs with this prompt."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.simulator.url}/_sim/log", params={"limit": 10_000})
        return [entry for entry in answer.json()["entries"] if entry.get("prompt") == prompt]

    def objects(self, generation_id: str) -> list[str]:
        store = minio_client(
            self.settings.s3_endpoint,
            self.settings.s3_access_key.get_secret_value(),
            self.settings.s3_secret_key.get_secret_value(),
            self.settings.s3_region,
        )
        found = store.list_objects(self.settings.s3_bucket, recursive=True)
        return [item.object_name or "" for item in found if generation_id in (item.object_name or "")]


@pytest.fixture(scope="module")
async def deployment(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    # Of its own in each module: the servers are those of all.
    name = f"crashes{secrets.token_hex(4)}"
    await namespaced_client(servers, name)
    simulator = SimulatorProcess(
        tmp_path_factory.mktemp("fal"), ("--job-seconds", "0.3", "--user-id", "user-1")
    )
    await simulator.start()
    environment = os.environ | _environment(
        servers, simulator, await _new_database(servers.postgres.url, name), name
    )
    settings = ServiceSettings.model_validate({name.lower(): value for name, value in environment.items()})
    database = Database(settings.database_url.get_secret_value(), pool_size=5)
    await bootstrap(settings)
    deployed = Deployment(environment, settings, database, simulator)
    api = deployed.start("-m", "api")
    await eventually(lambda: answers(f"{settings.public_url}/healthz"), timeout_seconds=20)
    yield deployed
    await stop(api)
    await database.close()
    simulator.stop()


async def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, scaled(_STOP_SECONDS))


def _environment(
    servers: Servers, simulator: SimulatorProcess, database_url: str, name: str
) -> dict[str, str]:
    port, url = str(pick_free()), simulator.url
    return {
        "MASTER_KEY": "k" * 32,
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": servers.temporal.address,
        "TEMPORAL_NAMESPACE": name,
        "S3_ENDPOINT": servers.s3.endpoint,
        "S3_ACCESS_KEY": servers.s3.access_key,
        "S3_SECRET_KEY": servers.s3.secret_key,
        "S3_REGION": servers.s3.region,
        "S3_BUCKET": name,
        "API_PORT": port,
        "API_INTERNAL_PORT": "0",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "WORKER_HEALTH_PORT": str(pick_free()),
        "WORKER_METRICS_PORT": str(pick_free()),
        "WORKER_GRACE_SECONDS": "3",
        "DEADLINE_CAP_SECONDS": "8",
        "FIRST_POLL_CAP_SECONDS": "1",
        "RECONCILE_EVERY_SECONDS": "5",
        "FAL_KEY": KEY,
        "FAL_USER_ID": "user-1",
        "FAL_QUEUE_URL": url,
        "FAL_JWKS_URL": f"{url}/.well-known/jwks.json",
        "FAL_RESULT_HOSTS": url,
        "LOG_LEVEL": "WARNING",
    }


async def _new_database(url: str, name: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return f"{url.rpartition('/')[0]}/{name}"


async def answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(url)).is_success
    except httpx.HTTPError:
        return False
