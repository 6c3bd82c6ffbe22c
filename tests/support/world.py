"""Workflows on real Temporal and PostgreSQL, with scripted providers and the images in memory."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from adapters.database.engine import Database
from adapters.database.inbox import PostgresInbox
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.reconcile_queries import PostgresReconcileQueries
from adapters.database.tables import AttemptRow, GenerationRow
from adapters.temporal import TemporalWorkflowClient
from composition.activities import Activities, ActivityPorts, build_activities
from domain.catalog import Catalog
from domain.credits import Balance
from domain.errors import TooLateToCancel
from domain.generation import (
    Fallback,
    Generation,
    GenerationInput,
    GenerationRequest,
    Outcome,
    Stage,
    TimingPolicy,
)
from domain.provider import AttemptRef, ProviderEvent, ProviderResult
from runtime.workers import run_workers
from tests.support.batches import batch_parts_of
from tests.support.books import PostgresBooks
from tests.support.database_ports import database_ports
from tests.support.eventually import eventually
from tests.support.interrupted import InterruptedAttempts, InterruptedLedger
from tests.support.memory_store import MemoryStore
from tests.support.requests import QUICK_TIMING, input_of, new_id, request
from tests.support.scripted import (
    Call,
    ForbiddenWords,
    Script,
    ScriptedDownloader,
    ScriptedProvider,
    ScriptedSynchronousProvider,
    TrustingInspector,
)
from tests.support.webhook_sending import delivery_activities_of
from worker import Tuning, build_workers
from workflows.generation import GenerationWorkflow
from workflows.progress import Progress

HISTORIES = Path(__file__).parents[1] / "replay" / "histories"
# They name paths of the machine, and no replay reads them.
_TRACES = re.compile(r'"stackTrace": "(?:[^"\\]|\\.)*"')
Handle = WorkflowHandle[GenerationWorkflow, Outcome]


@dataclass
class Job:
    """One generation under test."""

    world: "World"
    id: str
    tenant_id: str
    script: Script
    handle: Handle

    async def webhook(
        self, result: ProviderResult, *, ordinal: int = 1, provider: str = "fal", job_id: str = "job-1"
    ) -> None:
        """Store and signal a webhook, as the API does. A provider calls back only after the attempt began."""
        if ordinal == 1:
            await eventually(self.attempts)
        event = ProviderEvent(new_id("event"), job_id, result)
        receipt = await self.world.inbox.record_event(provider, AttemptRef(self.id, ordinal), event)
        await self.handle.signal(GenerationWorkflow.on_result, receipt.signal)

    async def request_cancel(self) -> None:
        """Record and signal a cancel, as the API does; it may be too late."""
        with suppress(TooLateToCancel):
            await self.world.books.cancel(self.id)
        await self.handle.signal(GenerationWorkflow.on_cancel)

    async def progress(self) -> Progress:
        return await self.handle.query(GenerationWorkflow.status)

    async def reaches(self, stage: Stage) -> Progress:
        async def is_there() -> Progress | None:
            progress = await self.progress()
            return progress if progress.stage == stage else None

        return await eventually(is_there, timeout_seconds=20)

    async def outcome(self) -> Outcome:
        return await self.handle.result()

    async def generation(self) -> Generation:
        return await self.world.books.read(self.id)

    async def error_stage(self) -> str:
        error = (await self.generation()).error
        assert error is not None
        return error.stage

    async def balance(self) -> Balance:
        return await self.world.books.balance(self.tenant_id)

    async def transfers(self) -> list[str]:
        """Return the kinds of its transfers, the hold first."""
        return [kind for kind, _ in await self.world.books.transfers(self.id)]

    async def attempts(self) -> dict[int, AttemptRow]:
        """Return its attempts by ordinal."""
        query = select(AttemptRow).where(col(AttemptRow.generation_id) == self.id)
        async with self.world.database.begin() as session:
            return {row.ordinal: row for row in await session.scalars(query)}

    async def expects_objects(self) -> bool:
        """Return whether the reconciler will look for its orphaned objects."""
        async with self.world.database.begin() as session:
            row = await session.get(GenerationRow, self.id)
        assert row is not None
        return row.storing_at is not None

    async def is_queued(self) -> bool:
        """Return whether it waits for a slot."""
        return await self.world.slots.queue_position(self.id) is not None

    async def keep_history(self, name: str) -> None:
        """Save the history for the replay tests, when asked to record (see CONTRIBUTING.md)."""
        if os.environ.get("RECORD_HISTORIES"):
            history = await self.handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(_TRACES.sub('"stackTrace": ""', history.to_json()))


@dataclass
class World:
    """A worker on scripted providers; each generation has a tenant, credits and a script of its own.

    limits: slots by provider; a provider that is not in it has no limit. account_wide: providers whose rate
    limit holds for all models together.
    """

    client: Client
    database: Database
    limits: dict[str, int] = field(default_factory=dict)
    account_wide: set[str] = field(default_factory=set)
    tentative_seconds: float = 2.0
    # A result that cannot be fetched is given up at once.
    result_lifetimes: dict[str, float] = field(default_factory=lambda: {"fal": 0.0, "replicate": 0.0})
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    fallback: ScriptedProvider = field(default_factory=lambda: ScriptedProvider("replicate"))
    synchronous: ScriptedSynchronousProvider = field(default_factory=ScriptedSynchronousProvider)
    check: ForbiddenWords = field(default_factory=ForbiddenWords)
    downloader: ScriptedDownloader = field(default_factory=ScriptedDownloader)
    store: MemoryStore = field(default_factory=MemoryStore)
    started: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.books = PostgresBooks(self.database)
        self.ledger = InterruptedLedger(self.database)
        self.attempts = InterruptedAttempts(self.database)
        self.inbox = PostgresInbox(self.database)
        self.slots = PostgresProviderSlots(self.database, self.limits)
        self.workflows = TemporalWorkflowClient(self.client, task_timeout=timedelta(seconds=10))

    async def start(
        self,
        script: Script | None = None,
        *,
        credits: int = 10,
        n: int = 1,
        price_credits: int = 4,
        timing: TimingPolicy = QUICK_TIMING,
        provider: str = "fal",
        cancel_first: bool = False,
        ledger_is_away: bool = False,
        fallback: Script | None = None,
        call: Call | None = None,
        asked: GenerationRequest | None = None,
        checks_input: bool = False,
    ) -> Job:
        """Start a generation. fallback: its script, at Replicate. call: what a synchronous provider does."""
        tenant_id = await self.books.tenant(credits)
        script = script or Script()
        prompt = f"a secret fox {new_id('prompt')}"
        self.provider.scripts[prompt] = script
        wanted = replace(asked or request(n=n, price_credits=price_credits), prompt=prompt)
        where = None
        if call is not None:
            self.synchronous.calls[prompt], provider = call, "openai"
            wanted = replace(wanted, provider=provider)
        if fallback is not None:
            self.fallback.scripts[prompt] = fallback
            wanted = replace(wanted, fallback=replace(wanted, model="other", provider="replicate"))
            where = Fallback("other", "replicate", timing)
        generation_id = await self.books.add(tenant_id, wanted)
        if cancel_first:
            await self.books.cancel(generation_id)
        if ledger_is_away:
            self.ledger.away.add(generation_id)
        job = input_of(await self.books.read(generation_id), timing)
        job = replace(job, provider=provider, fallback=where, checks_input=checks_input)
        started = Job(self, generation_id, tenant_id, script, await self.run(job))
        self.started.append(started)
        return started

    async def end_all(self) -> None:
        """End what a test has left open, so that the next one finds the slots free."""
        for job in self.started:
            job.script.submit_release.set()
            with suppress(RPCError):  # it is closed already
                await job.handle.terminate()
        self.started.clear()

    async def run(self, job: GenerationInput) -> Handle:
        await self.workflows.start_workflow(job, "FLUX.1 [schnell]")
        return self.client.get_workflow_handle_for(GenerationWorkflow.run, job.generation_id)

    def activities(self, stop_grace_seconds: float = 2) -> Activities:
        return build_activities(
            ActivityPorts(
                providers={"fal": self.provider, "replicate": self.fallback},
                synchronous={"openai": self.synchronous},
                limited_providers=(),
                webhook_url=lambda name, attempt: f"https://api.test/{name}/{attempt.ordinal}",
                **database_ports(self.database),
                webhook_urls=lambda name, attempt: (f"https://api.test/{name}/{attempt.ordinal}",),
                input_check=self.check,
                ledger=self.ledger,
                attempts=self.attempts,
                inbox=self.inbox,
                reconcile_queries=PostgresReconcileQueries(self.database, Catalog({}, {})),
                slots=self.slots,
                workflows=self.workflows,
                store=self.store,
                downloader=self.downloader,
                inspector=TrustingInspector(),
                account_wide=self.account_wide,
                result_lifetimes=self.result_lifetimes,
                tentative_seconds=self.tentative_seconds,
                stop_grace_seconds=stop_grace_seconds,
            ),
            delivery_activities_of(self.database),
            batch_parts_of(self.database, self.workflows),
        )


@asynccontextmanager
async def working(
    world: World, *, cached_workflows: int = 0, grace_seconds: float = 2
) -> AsyncIterator[asyncio.Event]:
    """Run a worker of the world; the event stops it."""
    tuning = Tuning(
        submits_per_second=dict.fromkeys(("fal", "replicate", "openai"), 1000.0),
        max_concurrent={"fal": 50, "replicate": 50, "openai": 200},
        max_local_activities=10,
        max_activities=50,
        max_stores=50,
        max_workflow_tasks=20,
        cached_workflows=cached_workflows,
        grace=timedelta(seconds=grace_seconds),
        sticky_timeout=timedelta(seconds=2),
    )
    stop = asyncio.Event()
    sandbox = SandboxedWorkflowRunner()  # nothing passes through, so it sees all that a workflow runs
    activities = world.activities(grace_seconds)
    workers = build_workers(world.client, activities, tuning, stop=stop, workflow_runner=sandbox)
    running = asyncio.create_task(run_workers(workers, stop))
    try:
        yield stop
    finally:
        stop.set()
        await running


@asynccontextmanager
async def running_world(
    client: Client, database: Database, *, cached_workflows: int = 0
) -> AsyncIterator[World]:
    """Run a worker. Without a cache, every workflow task replays the history, which tests determinism."""
    world = World(client, database)
    async with working(world, cached_workflows=cached_workflows):
        yield world
