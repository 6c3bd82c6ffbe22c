"""Servers that are paused or killed in the middle of generations; afterwards all records agree."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.tenants import PostgresTenants
from devstack.process.log import silent
from devstack.stack import control
from devstack.stack.running import WAITS, Stack, running_stack
from domain.auth import Scope
from tests.integration.api.service import Tenant, unique
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.minio_clients import minio_client
from tests.support.time_limits import scaled

CREDITS = 100
OUTAGE_SECONDS = 10.0
SHORT_OUTAGE_SECONDS = 4.0
QUICKER = {"RECONCILE_EVERY_SECONDS": "2", "FIRST_POLL_CAP_SECONDS": "1"}

pytestmark = pytest.mark.needs_servers


@dataclass
class Shop:
    """A tenant of a running stack, and every generation that it posted."""

    stack: Stack
    tenant: Tenant
    books: PostgresBooks
    prompts: dict[str, str] = field(default_factory=dict)

    async def post(self, what: str, key: str | None = None, *, n: int = 1) -> dict[str, Any]:
        """Post a generation. `what` may have the simulator's markers."""
        prompt = unique(what)
        job = await self.tenant.posted(prompt, n=n)
        self.prompts[job["id"]] = prompt
        return job

    async def post_a_mix(self) -> None:
        """Post generations that end by webhook or poll, at once or later, well or not."""
        whats = ("a fox", "a hare [sim:drop_webhook]", "an owl [sim:latency=3]", "a wolf [sim:moderation]")
        await asyncio.gather(*(self.post(what) for what in whats), self.post("two deer [sim:latency=2]", n=2))

    async def is_storing(self, generation_id: str) -> bool:
        job = await self.tenant.get(f"/v1/generations/{generation_id}")
        return bool(job["stage"] == "storing")

    async def is_down(self, name: str) -> bool:
        """Return whether the API reports one of its dependencies as unavailable."""
        answer = (await self.tenant.http.get("/readyz")).json()
        return bool(answer["dependencies"][name] == "down")

    async def endings(self) -> dict[str, dict[str, Any]]:
        """Wait for each generation's end; return them by prompt."""
        jobs = await asyncio.gather(*(self.tenant.ended(each) for each in self.prompts))
        return {self.prompts[job["id"]]: job for job in jobs}

    async def assert_all_records_agree(self) -> None:
        """Check ledger, bucket and the provider's log: each has every generation and nothing else."""
        jobs = await self.endings()
        submits = await self.submits()
        for prompt, job in jobs.items():
            is_completed = job["status"] == "completed"
            resolution = "settle" if is_completed else "refund"
            assert [kind for kind, _ in await self.books.transfers(job["id"])] == ["hold", resolution], job
            assert submits.count(prompt) == 1, job
            assert self.objects(job["id"]) == len(job["images"]), job
            assert job["cost"]["charged"] == len(job["images"]), job
        await self.books.assert_consistent(self.tenant.id)
        spent = sum(job["cost"]["charged"] for job in jobs.values())
        assert await self.tenant.credits() == (CREDITS - spent, 0, spent)

    async def submits(self) -> list[str]:
        """Return the prompt of each job that the provider accepted."""
        url = f"{self.stack.servers.simulators['fal']}/_sim/log"
        async with httpx.AsyncClient(trust_env=False, timeout=scaled(10)) as http:
            entries = (await http.get(url, params={"limit": 10_000})).json()["entries"]
        return [entry["prompt"] for entry in entries if entry["kind"] == "submit_accepted"]

    def objects(self, generation_id: str) -> int:
        s3, bucket = self.stack.servers.s3, self.stack.facts()["s3_bucket"]
        client = minio_client(s3.endpoint, s3.access_key, s3.secret_key, s3.region)
        prefix = f"{self.tenant.id}/{generation_id}/"
        return len(list(client.list_objects(bucket, prefix=prefix, recursive=True)))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(
        settings=WAITS | QUICKER, simulator_arguments=("--job-seconds", "1"), is_durable=False, log=silent
    ) as stack:
        yield stack


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    database = Database(stack.servers.postgres.url, pool_size=3)
    tenants = PostgresTenants(database)
    tenant_id = await tenants.create("outages")
    await PostgresCreditAccounts(database).grant(tenant_id, CREDITS, "opening balance")
    key = await tenants.create_key(tenant_id, list(Scope))
    headers = {"Authorization": f"Bearer {key.api_key}"}
    async with httpx.AsyncClient(
        base_url=stack.api_url, headers=headers, timeout=scaled(30), trust_env=False
    ) as http:
        yield Shop(stack, Tenant(tenant_id, key.key_id, http), PostgresBooks(database))
    await database.close()


@asynccontextmanager
async def standing_still(stack: Stack, name: str, seconds: float = 0.0) -> AsyncIterator[None]:
    """Pause a process, as `python -m devstack pause NAME` does, during the block and at least this long."""
    control.act(stack.folder, "pause", name)
    at_least = asyncio.create_task(passed(seconds))
    try:
        yield
        await at_least
    finally:
        at_least.cancel()
        control.act(stack.folder, "resume", name)


async def passed(seconds: float) -> None:
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() >= until, seconds + 1)


async def test_temporal_is_paused_for_ten_seconds(shop: Shop) -> None:
    doomed = await shop.post("a snail [sim:hang]")
    await shop.tenant.generating(doomed["id"])
    await shop.post_a_mix()
    async with standing_still(shop.stack, "temporal", OUTAGE_SECONDS):
        await eventually(lambda: shop.is_down("temporal"))
        meanwhile = [await shop.post("a swan"), await shop.post("a heron [sim:drop_webhook]")]
        canceled = await shop.tenant.http.post(f"/v1/generations/{doomed['id']}/cancel")
    stages = [each["stage"] for each in meanwhile]
    jobs = await shop.endings()

    assert stages == ["created", "created"]
    assert canceled.status_code == httpx.codes.ACCEPTED
    assert_ended_as_meant(jobs)
    await shop.assert_all_records_agree()


async def test_temporal_is_killed_and_comes_back(shop: Shop) -> None:
    before = shop.stack.supervisor.pids["temporal"]
    await shop.post_a_mix()
    control.act(shop.stack.folder, "kill", "temporal")
    await eventually(lambda: shop.is_down("temporal"))
    await shop.post("a swan")
    jobs = await shop.endings()

    assert shop.stack.supervisor.pids["temporal"] != before
    assert_ended_as_meant(jobs)
    await shop.assert_all_records_agree()


async def test_postgresql_is_paused(shop: Shop) -> None:
    prompt, key = unique("an otter"), unique("key")
    await shop.post_a_mix()
    async with standing_still(shop.stack, "postgres", SHORT_OUTAGE_SECONDS):
        await eventually(lambda: shop.is_down("postgres"))
        asking = asyncio.create_task(shop.tenant.post(prompt, key))
    # A client that was told 503, or nothing at all, repeats itself with the same key.
    first, second = await asking, await shop.tenant.post(prompt, key)
    shop.prompts[second.json()["id"]] = prompt
    jobs = await shop.endings()

    assert first.status_code in (httpx.codes.ACCEPTED, httpx.codes.SERVICE_UNAVAILABLE)
    assert second.status_code == httpx.codes.ACCEPTED
    assert_ended_as_meant(jobs)
    await shop.assert_all_records_agree()


async def test_the_object_store_is_paused(shop: Shop) -> None:
    async with standing_still(shop.stack, "s3"):
        await eventually(lambda: shop.is_down("s3"))
        await shop.post_a_mix()
        waiting = await shop.post("a crane")
        await eventually(lambda: shop.is_storing(waiting["id"]))
        await passed(SHORT_OUTAGE_SECONDS)
    jobs = await shop.endings()

    assert_ended_as_meant(jobs)
    await shop.assert_all_records_agree()


def assert_ended_as_meant(jobs: dict[str, dict[str, Any]]) -> None:
    """Check that the outage changed no generation's ending."""
    for prompt, job in jobs.items():
        code = (job["error"] or {}).get("code", "none")
        if "moderation" in prompt:
            assert (job["status"], code) == ("failed", "content_rejected")
        elif "hang" in prompt:
            assert (job["status"], code) == ("canceled", "none")
        else:
            assert (job["status"], code) == ("completed", "none"), prompt
