"""The workflow of a batch on real Temporal and PostgreSQL, sandboxed; its generations end by themselves."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities import batch_passes
from activities.batch_passes import Pace
from activities.interceptors import FailureMappingInterceptor, HeartbeatInterceptor
from adapters.database.client_batches import PostgresBatches
from adapters.database.engine import Database
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.temporal_batches import TemporalBatches
from devstack.servers.running import Servers
from domain import temporal_names
from domain.batches import (
    Batch,
    BatchCounts,
    BatchDraft,
    BatchInput,
    BatchItemDraft,
    BatchStatus,
    workflow_input,
)
from domain.generation import GenerationInput, Status, TerminalState
from domain.input_files import FilePurpose, ImageFacts
from tests.conftest import namespaced_client
from tests.support.batches import PRICE_CREDITS, StartedWorkflows, batch_of, batch_parts_of, item, items
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.memory_store import MemoryStore
from tests.support.requests import new_id
from tests.support.time_limits import scaled
from tests.support.world import HISTORIES
from workflows.batch import BatchWorkflow


class EndingWorkflows(StartedWorkflows):
    """Generations that are charged at once, unless they are held back; a prompt may say that they fail."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.books = PostgresBooks(database)
        self.ledger = PostgresLedger(database)
        self.are_free = asyncio.Event()
        self.are_free.set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def start_workflow(self, generation: GenerationInput, title: str) -> None:
        await super().start_workflow(generation, title)
        self._go_on(self._run(generation))

    async def signal_cancel(self, generation_id: str) -> bool:
        self._go_on(self._cancel(generation_id))
        return await super().signal_cancel(generation_id)

    def _go_on(self, call: object) -> None:
        task = asyncio.ensure_future(call)  # type: ignore[call-overload]  # a coroutine
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, generation: GenerationInput) -> None:
        await self.are_free.wait()
        if (await self.books.read(generation.generation_id)).request.prompt.startswith("fail"):
            failed = TerminalState(Status.FAILED, "provider_failed")
            await self.ledger.refund(generation.generation_id, failed)
            return
        if (await self.ledger.reserve(generation.generation_id)).outcome is None:
            await self.books.store(generation.generation_id)
            await self.ledger.settle(generation.generation_id)

    async def _cancel(self, generation_id: str) -> None:
        await self.ledger.refund(generation_id, TerminalState(Status.CANCELED))


@dataclass
class Site:
    """A worker for batches, in a namespace of its own."""

    client: Client
    database: Database
    generations: EndingWorkflows
    pace: Pace = field(default_factory=Pace)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.batches = PostgresBatches(self.database)
        self.workflows = TemporalBatches(
            self.client, task_timeout=timedelta(seconds=10), call_seconds=scaled(30)
        )

    async def post(
        self, drafts: Sequence[BatchItemDraft], *, concurrency: int = 100, is_started: bool = True
    ) -> "Job":
        tenant_id = await PostgresBooks(self.database).tenant(100_000)
        draft = replace(await batch_of(self.database, tenant_id, *drafts), concurrency=concurrency)
        return await self._started(draft, is_started=is_started)

    async def post_lines(self, content: str) -> "Job":
        tenant_id, file_id = await PostgresBooks(self.database).tenant(), new_id("file")
        facts = ImageFacts(0, 0, "application/jsonl", len(content), "ab" * 32)
        files = PostgresInputFiles(self.database)
        await files.add_file(tenant_id, file_id, file_id, facts, FilePurpose.BATCH)
        self.store.objects[file_id] = content.encode()
        draft = await batch_of(self.database, tenant_id, input_file_id=file_id, endpoint="/v1/generations")
        return await self._started(draft, is_started=True)

    async def _started(self, draft: BatchDraft, *, is_started: bool) -> "Job":
        batch, _ = await self.batches.create_batch(draft, None, "print", max_open=1)
        for _ in range(2 if is_started else 0):  # it starts once
            await self.workflows.start_batch(workflow_input(batch))
        return Job(self, batch, self.client.get_workflow_handle_for(BatchWorkflow.run, batch.id))


@dataclass
class Job:
    """One batch under test."""

    site: Site
    batch: Batch
    handle: WorkflowHandle[BatchWorkflow, None]

    async def read(self) -> Batch:
        return await self.site.batches.get_batch_of(self.batch.tenant_id, self.batch.id)

    async def has_open(self, count: int) -> None:
        async def enough() -> bool:
            return (await self.read()).counts.in_progress == count

        await eventually(enough)

    async def runs(self) -> list[WorkflowHistory]:
        """Return the histories of its runs, the last one first."""
        found: list[WorkflowHistory] = []
        run_id = ""
        while not found or run_id:
            handle = self.site.client.get_workflow_handle(self.batch.id, run_id=run_id or None)
            history = await handle.fetch_history()
            found.append(history)
            started = history.events[0].workflow_execution_started_event_attributes
            run_id = started.continued_execution_run_id
        return found

    async def keep_history(self, name: str) -> None:
        """Save the history of its last run."""
        if os.environ.get("RECORD_HISTORIES"):
            (HISTORIES / f"{name}.json").write_text((await self.runs())[0].to_json())


@asynccontextmanager
async def working(site: Site) -> AsyncIterator[None]:
    """Run a worker without a cache: every workflow task replays the history."""
    parts = batch_parts_of(site.database, site.generations, site.workflows, store=site.store, pace=site.pace)
    async with (
        Worker(
            site.client,
            task_queue=temporal_names.BATCHES_QUEUE,
            workflows=[BatchWorkflow],
            activities=[parts.activities.advance_batch],
            interceptors=[FailureMappingInterceptor(), HeartbeatInterceptor()],
            workflow_runner=SandboxedWorkflowRunner(),
            max_cached_workflows=0,
        ),
        Worker(
            site.client,
            task_queue=temporal_names.BATCH_FILES_QUEUE,
            activities=[parts.activities.validate_batch],
            interceptors=[FailureMappingInterceptor(), HeartbeatInterceptor()],
        ),
    ):
        yield


@pytest.fixture(scope="session")
async def batches_client(servers: Servers) -> Client:
    return await namespaced_client(servers, "batches")


@pytest.fixture
def site(batches_client: Client, database: Database) -> Site:
    return Site(batches_client, database, EndingWorkflows(database))


async def test_all_items_end_and_so_does_the_batch(site: Site) -> None:
    drafts = [*items(9), item(9, prompt="fail"), item(10, model="gone")]
    async with working(site):
        job = await site.post(drafts, concurrency=4)
        await job.handle.result()
    batch = await job.read()
    assert batch.status is BatchStatus.COMPLETED
    assert batch.counts == BatchCounts(total=11, completed=9, failed=2)
    assert batch.charged_credits == 9 * PRICE_CREDITS
    assert len(site.generations.started) == 10
    described = await job.handle.describe()
    assert await described.memo() == {"tenant_id": batch.tenant_id}
    assert await described.static_summary() == f"batch for {batch.tenant_id}"
    assert "validate_batch" not in (await job.runs())[0].to_json()  # it would wait for the files of others
    await job.keep_history("batch_completed")


async def test_a_file_that_is_refused_ends_it(site: Site) -> None:
    async with working(site):
        job = await site.post_lines("no JSON")
        await job.handle.result()
    batch = await job.read()
    assert (batch.status, batch.error_code) == (BatchStatus.FAILED, "invalid_input")
    await job.keep_history("batch_refused")


async def test_a_cancel_ends_it_at_once(site: Site) -> None:
    """Also while the workflow waits for its next pass, for hours if it had its way."""
    site.generations.are_free.clear()
    site.pace = Pace(pass_seconds=0.0)
    async with working(site):
        job = await site.post(items(20), concurrency=5)
        await job.has_open(5)
        await site.batches.record_batch_cancel(job.batch.tenant_id, job.batch.id)
        assert await site.workflows.signal_batch_cancel(job.batch.id)
        await job.handle.result()
    batch = await job.read()
    assert batch.status is BatchStatus.CANCELED
    assert batch.counts == BatchCounts(total=20, canceled=20)
    assert len(site.generations.started) == 5
    assert not await site.workflows.signal_batch_cancel(job.batch.id)
    await job.keep_history("batch_canceled")


@pytest.mark.parametrize("count", [100, 1000])
async def test_a_history_is_as_short_for_many_items(site: Site, count: int) -> None:
    """In an ordinary pass: the events do not grow with the items."""
    async with working(site):
        job = await site.post(items(count), concurrency=50)
        await job.handle.result()
    assert (await job.read()).counts == BatchCounts(total=count, completed=count)
    events = sum(len(history.events) for history in await job.runs())
    print(f"{count} items: {events} events")  # noqa: T201 - a measurement
    assert events < 100


async def test_it_goes_on_in_a_new_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With passes that end one item each, as if every item took as long as a pass."""
    monkeypatch.setattr(batch_passes, "_MIN_ITEMS", 1)
    site.pace = Pace(pass_seconds=0.0)
    drafts = [item(index, model="gone") for index in range(40)]
    async with working(site):
        job = await site.post(drafts, concurrency=1)
        await job.handle.result()
    histories = await job.runs()
    assert len(histories) > 1
    assert max(len(history.events) for history in histories) < 300
    assert (await job.read()).counts == BatchCounts(total=40, failed=40)
    await job.keep_history("batch_continued")


async def test_a_lost_workflow_is_started_again(site: Site) -> None:
    site.generations.are_free.clear()
    async with working(site):
        job = await site.post(items(10), concurrency=5)
        await job.has_open(5)
        await job.handle.terminate()
        parts = batch_parts_of(site.database, site.generations, site.workflows)
        wanted = BatchInput(job.batch.id, job.batch.tenant_id)
        assert await parts.repairer.repair(wanted) == {"batch_restarted": 1}
        assert await parts.repairer.repair(wanted) == {}
        site.generations.are_free.set()
        await site.client.get_workflow_handle(job.batch.id).result()
    assert (await job.read()).counts == BatchCounts(total=10, completed=10)
    assert len(site.generations.started) == 10


async def test_a_batch_that_was_not_started_is_found(site: Site) -> None:
    async with working(site):
        job = await site.post(items(2), is_started=False)
        parts = batch_parts_of(site.database, site.generations, site.workflows)
        found = await parts.repairer.list_open(timedelta(0), 1000)
        [wanted] = [each for each in found if each.batch_id == job.batch.id]
        assert await parts.repairer.list_open(timedelta(hours=1), 1000) == []
        assert await parts.repairer.repair(wanted) == {"batch_started": 1}
        await job.handle.result()
    assert (await job.read()).status is BatchStatus.COMPLETED
    assert wanted not in await parts.repairer.list_open(timedelta(0), 1000)
