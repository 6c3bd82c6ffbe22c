"""Workflows on the real Temporal server, with everything behind the activities in memory."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client, WorkflowHandle

from activities.assets import AssetActivities, ImageWriter
from activities.credits import CreditActivities
from activities.moderation import ModerationActivities
from activities.provider import InputFileLoader, ProviderActivities, SyncResultRecorder
from activities.provider_slots import SlotActivities, SlotGranter
from activities.reconcile import ReconcileActivities
from adapters.temporal import TemporalWorkflowClient
from domain.credits import Balance, Refund, Reservation
from domain.errors import DatabaseUnavailable
from domain.generation import (
    Fallback,
    Generation,
    GenerationInput,
    GenerationRequest,
    Outcome,
    Stage,
    TerminalState,
    TimingPolicy,
)
from domain.ports import Provider, StuckGeneration, WebhookReceipt
from domain.provider import AttemptRef, ProviderEvent, ProviderJob, ProviderResult
from tests.support.eventually import eventually
from tests.support.memory_assets import MemoryAssets
from tests.support.memory_attempts import MemoryAttempts
from tests.support.memory_books import MemoryBooks, Row
from tests.support.memory_files import MemoryFiles
from tests.support.memory_gate import MemoryGate
from tests.support.memory_generations import MemoryGenerations
from tests.support.memory_ledger import MemoryLedger
from tests.support.memory_store import MemoryStore
from tests.support.requests import QUICK_WAITS, generation_input, new_id, request
from tests.support.scripted import (
    Call,
    ForbiddenWords,
    Script,
    ScriptedDownloader,
    ScriptedProvider,
    ScriptedSynchronousProvider,
    TrustingInspector,
)
from worker import Activities, Tuning, build_workers
from workflows.generation import GenerationWorkflow
from workflows.progress import Progress

HISTORIES = Path(__file__).parents[1] / "replay" / "histories"
# They name paths of the machine, and no replay reads them.
_TRACES = re.compile(r'"stackTrace": "(?:[^"\\]|\\.)*"')
Handle = WorkflowHandle[GenerationWorkflow, Outcome]


class InterruptedLedger(MemoryLedger):
    """A ledger that is away for the generations in `away`, as in a database outage."""

    def __init__(self, books: MemoryBooks) -> None:
        super().__init__(books)
        self.away: set[str] = set()
        self.calls: list[tuple[str, str]] = []

    async def reserve(self, generation_id: str) -> Reservation:
        self._called("reserve", generation_id)
        return await super().reserve(generation_id)

    async def settle(self, generation_id: str) -> Outcome:
        self._called("settle", generation_id)
        return await super().settle(generation_id)

    async def refund(self, generation_id: str, ending: TerminalState) -> Refund:
        self._called("refund", generation_id)
        return await super().refund(generation_id, ending)

    def _called(self, step: str, generation_id: str) -> None:
        self.calls.append((step, generation_id))
        if generation_id in self.away:
            raise DatabaseUnavailable


class InterruptedAttempts(MemoryAttempts):
    """Attempts whose next acceptances cannot be written down, as in a failover of the database."""

    def __init__(self, books: MemoryBooks) -> None:
        super().__init__(books)
        self.lost: dict[str, int] = {}

    async def accepted(self, attempt: AttemptRef, job: ProviderJob) -> None:
        if self.lost.get(attempt.generation_id, 0) > 0:
            self.lost[attempt.generation_id] -= 1
            raise DatabaseUnavailable
        await super().accepted(attempt, job)


class NothingToRepair:
    """The ReconcileQueries and Inbox ports of a world without a reconciler."""

    async def stranded(self, older_than: timedelta, limit: int) -> list[StuckGeneration]:
        return []

    async def unrelayed(self, older_than: timedelta, limit: int) -> list[WebhookReceipt]:
        return []

    async def unswept(self, older_than: timedelta, limit: int) -> list[Generation]:
        return []

    async def mark_swept(self, generation_id: str) -> None:
        raise AssertionError(generation_id)

    async def receive(self, provider: str, attempt: AttemptRef, event: ProviderEvent) -> WebhookReceipt:
        raise AssertionError(event)

    async def mark_relayed(self, inbox_id: int) -> None:
        raise AssertionError(inbox_id)


@dataclass
class Job:
    """One generation under test."""

    world: "World"
    id: str
    tenant_id: str
    row: Row
    script: Script
    handle: Handle

    async def webhook(
        self, result: ProviderResult, *, ordinal: int = 1, provider: str = "fal", job_id: str = "job-1"
    ) -> None:
        """As the API does it: kept first, then told to the workflow."""
        event = ProviderEvent(new_id("event"), job_id, result)
        received = self.world.books.keep(provider, AttemptRef(self.id, ordinal), event, genuine=True)
        await self.handle.signal(GenerationWorkflow.on_result, received.signal)

    async def request_cancel(self) -> None:
        """As the API does it: the row first, then the signal."""
        self.row.cancel_requested = True
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

    @property
    def balance(self) -> Balance:
        return self.world.books.balance(self.tenant_id)

    async def keep_history(self, name: str) -> None:
        """Write the history down for the replay gate, when asked to record (see CONTRIBUTING.md)."""
        if os.environ.get("RECORD_HISTORIES"):
            history = await self.handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(_TRACES.sub('"stackTrace": ""', history.to_json()))


@dataclass
class World:
    """A worker on in-memory ports; each generation has a tenant, credits and a script of its own."""

    client: Client
    books: MemoryBooks = field(default_factory=MemoryBooks)
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    other: ScriptedProvider = field(default_factory=lambda: ScriptedProvider("replicate"))
    synchronous: ScriptedSynchronousProvider = field(default_factory=ScriptedSynchronousProvider)
    check: ForbiddenWords = field(default_factory=ForbiddenWords)
    downloader: ScriptedDownloader = field(default_factory=ScriptedDownloader)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.ledger = InterruptedLedger(self.books)
        self.attempts = InterruptedAttempts(self.books)
        self.gate = MemoryGate(self.books)
        self.runs = TemporalWorkflowClient(self.client, task_timeout=timedelta(seconds=10))

    async def start(
        self,
        script: Script | None = None,
        *,
        credits: int = 10,
        n: int = 1,
        price_credits: int = 4,
        waits: TimingPolicy = QUICK_WAITS,
        provider: str = "fal",
        cancel_first: bool = False,
        ledger_is_away: bool = False,
        elsewhere: Script | None = None,
        call: Call | None = None,
        asked: GenerationRequest | None = None,
        checks_input: bool = False,
    ) -> Job:
        """elsewhere: the fallback's script, at Replicate. call: what a synchronous provider does."""
        generation_id, tenant_id = new_id("gen"), new_id("ten")
        script = script or Script()
        prompt = f"a secret fox {generation_id}"
        self.provider.scripts[prompt] = script
        self.books.grant(tenant_id, credits)
        wanted = replace(asked or request(n=n, price_credits=price_credits), prompt=prompt)
        fallback = None
        if call is not None:
            self.synchronous.calls[prompt], provider = call, "openai"
            wanted = replace(wanted, provider=provider)
        if elsewhere is not None:
            self.other.scripts[prompt] = elsewhere
            wanted = replace(wanted, fallback=replace(wanted, model="other", provider="replicate"))
            fallback = Fallback("other", "replicate", waits)
        row = self.books.add(generation_id, tenant_id, wanted)
        row.cancel_requested = cancel_first
        if ledger_is_away:
            self.ledger.away.add(generation_id)
        job = replace(
            generation_input(generation_id, tenant_id, waits),
            provider=provider,
            fallback=fallback,
            checks_input=checks_input,
        )
        return Job(self, generation_id, tenant_id, row, script, await self.run(job))

    async def run(self, job: GenerationInput) -> Handle:
        await self.runs.start_workflow(job, "FLUX.1 [schnell]")
        return self.client.get_workflow_handle_for(GenerationWorkflow.run, job.generation_id)

    def activities(self) -> Activities:
        providers: dict[str, Provider] = {"fal": self.provider, "replicate": self.other}
        attempts, assets, files = self.attempts, MemoryAssets(self.books), MemoryFiles()
        door = SlotGranter(self.gate, self.runs)
        keeper = ImageWriter(TrustingInspector(), self.store)
        provider = ProviderActivities(
            providers,
            SyncResultRecorder({"openai": self.synchronous}, attempts, assets, keeper),
            attempts,
            InputFileLoader(files, self.store),
            door,
            lambda name, attempt: f"https://api.test/{name}/{attempt.ordinal}",
        )
        nothing = NothingToRepair()
        return Activities(
            credits=CreditActivities(self.ledger, door),
            provider=provider,
            assets=AssetActivities(providers, attempts, assets, self.downloader, keeper, door),
            places=SlotActivities(door),
            moderation=ModerationActivities(MemoryGenerations(self.books), self.check),
            reconcile=ReconcileActivities(
                nothing, self.runs, self.ledger, nothing, self.store, provider, files, door, ()
            ),
        )


@asynccontextmanager
async def running_world(client: Client, *, cached_workflows: int = 0) -> AsyncIterator[World]:
    """If nothing is cached, every workflow task replays the whole history: each test tests determinism."""
    world = World(client)
    tuning = Tuning(
        submits_per_second=dict.fromkeys(("fal", "replicate", "openai"), 1000.0),
        max_concurrent={"fal": 50, "replicate": 50, "openai": 200},
        max_local_activities=10,
        max_activities=50,
        cached_workflows=cached_workflows,
        grace=timedelta(seconds=2),
        sticky_timeout=timedelta(seconds=2),
    )
    async with AsyncExitStack() as stack:
        for worker in build_workers(client, world.activities(), tuning):
            await stack.enter_async_context(worker)
        yield world
