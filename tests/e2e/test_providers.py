"""What providers do to each other, to tenants and to a worker that dies, on the whole stack."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
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
from tests.integration.api.pictures import data_uri, photograph, png
from tests.integration.api.service import Tenant, unique
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

CREDITS = 1000
QUICKER = {"RECONCILE_EVERY_SECONDS": "2", "FIRST_POLL_CAP_SECONDS": "1", "DEADLINE_CAP_SECONDS": "15"}
# Black Forest Labs', in models.toml.
SLOTS = 24
END_SECONDS = 80.0

pytestmark = pytest.mark.needs_servers


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(
        settings=WAITS | QUICKER, simulator_arguments=("--job-seconds", "1"), is_durable=False, log=silent
    ) as stack:
        yield stack


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[Database]:
    database = Database(stack.servers.postgres.url, pool_size=3)
    yield database
    await database.close()


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as exits:
        yield exits


async def new_tenant(stack: Stack, database: Database, exits: AsyncExitStack) -> Tenant:
    tenants = PostgresTenants(database)
    tenant_id = await tenants.create("providers")
    await PostgresCreditAccounts(database).grant(tenant_id, CREDITS, "opening balance")
    key = await tenants.create_key(tenant_id, list(Scope))
    headers = {"Authorization": f"Bearer {key.api_key}"}
    http = httpx.AsyncClient(base_url=stack.api_url, headers=headers, timeout=scaled(30), trust_env=False)
    return Tenant(tenant_id, key.key_id, await exits.enter_async_context(http))


async def asked(tenant: Tenant, model: str, prompt: str, **fields: Any) -> dict[str, Any]:
    """An accepted generation."""
    answer = await tenant.http.post("/v1/generations", json={"model": model, "prompt": prompt, **fields})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def ended(tenant: Tenant, job: dict[str, Any]) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        now = await tenant.get(f"/v1/generations/{job['id']}")
        return now if now["finished_at"] is not None else None

    found: dict[str, Any] = await eventually(check, END_SECONDS)
    return found


async def log(stack: Stack, provider: str, prompt: str) -> list[str]:
    """Return the kinds of the simulator's log entries about a prompt."""
    url = f"{stack.servers.simulators[provider]}/_sim/log"
    async with httpx.AsyncClient(trust_env=False, timeout=scaled(10)) as http:
        entries = (await http.get(url, params={"limit": 10_000})).json()["entries"]
    return [entry["kind"] for entry in entries if entry["prompt"] == prompt]


async def test_what_one_provider_does_not_take_another_makes(
    stack: Stack, database: Database, exits: AsyncExitStack
) -> None:
    tenant, prompt = await new_tenant(stack, database, exits), unique("a ferry")
    rule = {"match": {"prompt": prompt}, "fault": "submit_503"}
    async with httpx.AsyncClient(trust_env=False, timeout=scaled(10)) as http:
        (await http.put(f"{stack.servers.simulators['fal']}/_sim/faults", json=rule)).raise_for_status()

    job = await ended(tenant, await asked(tenant, "flux-schnell", prompt))

    assert (job["status"], job["cost"]["charged"]) == ("completed", 1)
    assert (await log(stack, "fal", prompt)).count("submit_accepted") == 0
    assert (await log(stack, "replicate", prompt)).count("submit_accepted") == 1
    attempts = await PostgresBooks(database).sql(
        "SELECT provider, state FROM attempts WHERE generation_id = :id ORDER BY ordinal", id=job["id"]
    )
    assert attempts == [("fal", "not_sent"), ("replicate", "succeeded")]
    assert await tenant.credits() == (CREDITS - 1, 0, 1)


@pytest.mark.parametrize(
    ("model", "marker"),
    [
        # The file ends in the middle, without a length to compare with; the next time it is whole.
        ("flux-schnell", "[sim:truncated_body=none,times=1]"),
        # Only the address in the response to the submit, at another origin, knows the task.
        ("flux-2-klein", "[sim:wrong_region]"),
    ],
)
async def test_what_comes_right_in_the_end_is_delivered(
    stack: Stack, database: Database, exits: AsyncExitStack, model: str, marker: str
) -> None:
    tenant = await new_tenant(stack, database, exits)
    job = await ended(tenant, await asked(tenant, model, unique(f"a bridge {marker}"), size="512x512"))
    assert (job["status"], job["cost"]["charged"]) == ("completed", job["cost"]["estimated"])


async def test_a_mask_is_drawn_on_what_the_user_sees(
    stack: Stack, database: Database, exits: AsyncExitStack
) -> None:
    """Mask a photograph that a phone stored sideways, with a mask of the size that it is shown in."""
    tenant = await new_tenant(stack, database, exits)
    uploaded = await tenant.http.post("/v1/files", files={"file": photograph(400, 300)})
    fields = {"model": "flux-fill", "prompt": "a hat", "inputs": [uploaded.json()["id"]]}
    stored, seen = (fields | {"mask": data_uri(png(*size, "RGBA"))} for size in ((300, 400), (400, 300)))

    refused = await tenant.http.post("/v1/generations", json=stored)
    assert [error["field"] for error in refused.json()["errors"]] == ["mask"]
    job = await ended(tenant, (await tenant.http.post("/v1/generations", json=seen)).json())
    assert job["status"] == "completed"


async def test_a_worker_that_dies_in_a_synchronous_call_pays_once_and_charges_nothing(
    stack: Stack, database: Database, exits: AsyncExitStack
) -> None:
    tenant, prompt = await new_tenant(stack, database, exits), unique("a mill [sim:latency=60]")
    job = await asked(tenant, "gpt-image-2", prompt, size="512x512", quality="low")

    async def is_calling() -> bool:
        return "submit_accepted" in await log(stack, "openai", prompt)

    await eventually(is_calling, END_SECONDS)
    control.act(stack.folder, "kill", "worker")

    over = await ended(tenant, job)
    assert (over["status"], over["error"]["code"]) == ("failed", "submit_unknown")
    assert (await log(stack, "openai", prompt)).count("submit_accepted") == 1
    assert await tenant.credits() == (CREDITS, 0, 0)


async def test_a_busy_tenant_does_not_hold_up_anothers_first_job(
    stack: Stack, database: Database, exits: AsyncExitStack
) -> None:
    busy, other = [await new_tenant(stack, database, exits) for _ in range(2)]
    # Longer than it takes to fill every slot at the provider's own rate of submits.
    marker = "[sim:latency=9]"
    jobs = [
        await asked(busy, "flux-2-klein", unique(f"a crowd {marker}"), size="256x256")
        for _ in range(SLOTS + 8)
    ]

    async def is_full() -> bool:
        waiting = "SELECT 1 FROM provider_slots WHERE provider = 'bfl' AND granted_at IS NULL"
        return len(await PostgresBooks(database).sql(waiting)) > 0

    await eventually(is_full, END_SECONDS)
    prompt = unique(f"one alone {marker}")
    lone = await asked(other, "flux-2-klein", prompt, size="256x256")

    async def its_position() -> dict[str, Any] | None:
        queue: dict[str, Any] | None = (await other.get(f"/v1/generations/{lone['id']}"))["queue"]
        return queue

    assert (await eventually(its_position, END_SECONDS))["ahead"] == 0
    over = await ended(other, lone)
    crowd = await asyncio.gather(*(ended(busy, job) for job in jobs))
    assert {job["status"] for job in (over, *crowd)} == {"completed"}
    overtaken = [job for job in crowd if job["processing_at"] > over["processing_at"]]
    assert len(overtaken) >= 6, "it stood in line behind the others"
    url = f"{stack.servers.simulators['bfl']}/_sim/log"
    async with httpx.AsyncClient(trust_env=False, timeout=scaled(10)) as http:
        entries = (await http.get(url, params={"limit": 10_000})).json()["entries"]
    assert [entry for entry in entries if entry["kind"] == "submit_rejected"] == []
