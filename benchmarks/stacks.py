"""A stack of a benchmark's own: free ports, temporary data, and the settings of production."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from benchmarks import machine
from benchmarks.blocking import in_thread
from benchmarks.darkroom_target import Address
from benchmarks.temporal.on_postgres import temporal_on_postgres
from composition.temporal import TemporalAddress, connect
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import SUPERVISOR
from devstack.servers import app_processes
from devstack.stack.running import Stack, running_stack

JOB_SECONDS = 0.5
# The settings of production, but for a provider who takes as many as we can submit.
SETTINGS = {"FAL_SUBMITS_PER_SECOND": "1000", "WORKER_GRACE_SECONDS": "8"}
CREDITS = 1_000_000
DEV, POSTGRES = "dev", "postgres"


@dataclass(frozen=True)
class BenchStack:
    """A stack that is ready, and what measures it.

    pids: of the parts whose processor time counts. facts: the machine and the versions.
    """

    stack: Stack
    client: Client
    where: TemporalAddress
    pids: Mapping[str, int]
    facts: Mapping[str, Any]

    @property
    def address(self) -> Address:
        return address_of(self.stack)

    @property
    def database_url(self) -> str:
        return self.stack.servers.postgres.url


def address_of(stack: Stack) -> Address:
    """Return where clients of a stack post, and where its rows are."""
    return Address((stack.api_url,), stack.client.api_key, stack.servers.postgres.url)


def _grant(stack: Stack) -> None:
    """Give the stack's client more credits than any benchmark spends."""
    app_processes.run_admin(
        *("grant", stack.client.tenant_id, str(CREDITS), "--reference", "benchmark"),
        env=stack.environment,
        stop=stack.supervisor.stop_flag,
    )


@asynccontextmanager
async def bench_stack(
    stop: StopFlag,
    *,
    temporal: str = DEV,
    settings: Mapping[str, str] = SETTINGS,
    job_seconds: float = JOB_SECONDS,
) -> AsyncIterator[BenchStack]:
    """Run a stack for the block. temporal: the development server, or the server on PostgreSQL.

    job_seconds: about how long a job takes at the simulator, which has no rate limit.
    """
    async with AsyncExitStack() as exits:
        pids: dict[str, int] = {}
        if temporal == POSTGRES:
            pids |= await exits.enter_async_context(in_thread(temporal_on_postgres(stop, log)))
        starting = running_stack(
            settings=settings, simulator_arguments=("--job-seconds", str(job_seconds)), stop=stop
        )
        stack = await exits.enter_async_context(in_thread(starting))
        await asyncio.to_thread(_grant, stack)
        pids |= {name: pid for name, pid in stack.supervisor.pids.items() if name != SUPERVISOR}
        where = TemporalAddress(stack.servers.temporal.address, stack.servers.temporal.namespace)
        client = await connect(where)
        yield BenchStack(stack, client, where, pids, await machine.facts(client, stack))
