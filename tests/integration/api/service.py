"""The whole service in the tests' own process: API, worker and a simulated fal, on real servers."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.tenants import PostgresTenants
from composition import ServiceSettings
from composition.activities import worker_activities
from composition.api import api_servers
from composition.deliveries import dispatching
from composition.providers import webhook_url
from composition.temporal import batch_workflows, temporal_client, workflow_client
from domain.auth import Scope
from domain.provider import AttemptRef
from runtime.workers import run_workers
from tests.simulator.process import Client as FalClient
from tests.support.description import assert_described
from tests.support.eventually import eventually
from tests.support.raw_server import RawServer
from tests.support.time_limits import scaled
from worker import build_workers, tuning_of

MODEL = "flux-schnell"
PRICE = 1
TERMINAL = ("completed", "failed", "canceled")
# These clients speak plain http; loading the usual authorities for each of them takes longer than most tests.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_START_SECONDS = 15
_DESCRIPTORS = 20_000
_ENDED_WITHIN_SECONDS = 30.0


@dataclass
class Tenant:
    """A tenant of the service, with one API key and a client that sends it."""

    id: str
    key_id: str
    http: httpx.AsyncClient

    async def post(self, prompt: str, key: str | None = None, **fields: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"model": MODEL, "prompt": prompt, "size": "512x512", **fields}
        return await self.http.post("/v1/generations", json=body, headers=headers)

    async def posted(self, prompt: str, **fields: Any) -> dict[str, Any]:
        """Post a generation that is accepted."""
        response = await self.post(prompt, **fields)
        assert response.status_code == 202, response.text
        return dict(response.json())

    async def get(self, path: str) -> dict[str, Any]:
        response = await self.http.get(path)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def ended(self, generation_id: str) -> dict[str, Any]:
        """Wait until the generation has ended; return it."""

        async def check() -> dict[str, Any] | None:
            job = await self.get(f"/v1/generations/{generation_id}")
            return job if job["status"] in TERMINAL else None

        return await eventually(check, _ENDED_WITHIN_SECONDS)

    async def generating(self, generation_id: str) -> None:
        """Wait until the provider is at work on it."""

        async def check() -> bool:
            return bool((await self.get(f"/v1/generations/{generation_id}"))["stage"] == "generating")

        await eventually(check, _ENDED_WITHIN_SECONDS)

    async def credits(self) -> tuple[int, int, int]:
        """Return available, held and spent credits."""
        balance = await self.get("/v1/credits")
        return balance["available"], balance["held"], balance["spent"]


@dataclass
class Service:
    """The running service. `fal` controls the simulator, `database` reads without the API.

    pictures: the one private server that inputs may come from; it serves `PICTURE`.
    """

    url: str
    internal_url: str
    settings: ServiceSettings
    database: Database
    fal: FalClient
    pictures: RawServer
    exits: AsyncExitStack

    async def tenant(self, credits: int = 100, scopes: Sequence[Scope] = tuple(Scope)) -> Tenant:
        """Create a tenant with credits and a key with these scopes."""
        tenants = PostgresTenants(self.database)
        tenant_id = await tenants.create("A tenant of the tests")
        if credits:
            await PostgresCreditAccounts(self.database).grant(tenant_id, credits, "opening balance")
        key = await tenants.create_key(tenant_id, scopes)
        http = await self.client(self.url, key.api_key)
        return Tenant(tenant_id, key.key_id, http)

    async def client(self, url: str, api_key: str | None = None) -> httpx.AsyncClient:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=scaled(20),
            trust_env=False,
            verify=_NO_AUTHORITIES,
            # Whatever these tests are about, no response is one that the API does not describe.
            event_hooks={"response": [assert_described]} if url == self.url else {},
        )
        return await self.exits.enter_async_context(http)

    async def count(self, query: str, **values: str) -> int:
        """Return the single number of a query."""
        async with self.database.begin() as session:
            return int((await session.execute(text(query), values)).scalar_one())

    async def words(self, query: str, **values: str) -> list[str]:
        """Return the single column of a query."""
        async with self.database.begin() as session:
            return [str(word) for word in (await session.execute(text(query), values)).scalars()]

    async def expire_file(self, file_id: str) -> None:
        """Set its expiry to the past."""
        async with self.database.begin() as session:
            await session.execute(
                text("UPDATE input_files SET expires_at = now() WHERE id = :id"), {"id": file_id}
            )

    async def inbox_rows(self, generation_id: str) -> int:
        return await self.count("SELECT count(*) FROM inbox WHERE generation_id = :id", id=generation_id)

    async def generations_of(self, tenant: Tenant) -> int:
        return await self.count("SELECT count(*) FROM generations WHERE tenant_id = :id", id=tenant.id)

    async def transfers(self, generation_id: str) -> list[str]:
        """Return the kinds of all transfers of a generation, in alphabetical order."""
        query = "SELECT kind FROM transfers WHERE generation_id = :id ORDER BY kind"
        return await self.words(query, id=generation_id)

    def webhook_url(self, generation_id: str) -> str:
        return webhook_url(self.settings)("fal", AttemptRef(generation_id))

    async def fal_log(self, prompt: str, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in await self.fal.log(kind=kind) if entry["prompt"] == prompt]


def unique(prompt: str) -> str:
    """Return a prompt that no other test uses, to find it in the simulator's log."""
    return f"{prompt} {uuid4().hex}"


def listening() -> socket.socket:
    """Open a socket on a free port, so that the port is known before the application is built."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


@asynccontextmanager
async def serving(settings: ServiceSettings, listener: socket.socket) -> AsyncIterator[str]:
    """Run the API on that socket, started and stopped as in its own process; yield its internal address."""
    async with api_servers(settings.model_copy(update={"api_internal_port": 0}), _DESCRIPTORS) as servers:
        both = (servers.public, servers.internal)
        for server in both:
            server.config.timeout_graceful_shutdown = 2
        tasks = [
            asyncio.create_task(servers.public.serve(sockets=[listener])),
            asyncio.create_task(servers.internal.serve()),
        ]
        try:
            await eventually(lambda: all(server.started for server in both), _START_SECONDS)
            yield f"http://127.0.0.1:{servers.internal.port}"
        finally:
            servers.stop_waiting()
            for server in both:
                server.should_exit = True
            await asyncio.gather(*tasks)
            listener.close()


@asynccontextmanager
async def working(settings: ServiceSettings, database: Database) -> AsyncIterator[None]:
    """Run a worker for every queue, on the real adapters."""
    client = await temporal_client(settings)
    workflows, batches = workflow_client(settings, client), batch_workflows(settings, client)
    async with worker_activities(settings, workflows, batches, database) as activities:
        stop = asyncio.Event()
        workers = build_workers(client, activities, tuning_of(settings), stop=stop)
        running = asyncio.create_task(run_workers(workers, stop))
        try:
            async with dispatching(settings, database, client):
                yield
        finally:
            stop.set()
            await running
