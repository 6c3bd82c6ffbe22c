"""A batch of a tenant, and whoever works on it."""

from dataclasses import replace

from temporalio.testing import ActivityEnvironment

from activities.batch_passes import Pace
from adapters.database.client_batches import PostgresBatches
from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from domain.batch_runs import BatchReport
from domain.batches import Batch, BatchDraft, BatchItem, BatchItemDraft
from domain.generation import Status, TerminalState
from tests.support.batches import LIMITS, StartedWorkflows, batch_of, batch_parts_of
from tests.support.books import PostgresBooks


class Site:
    """A batch of a tenant, and whoever works on it."""

    def __init__(self, database: Database, books: PostgresBooks) -> None:
        self.database = database
        self.books = books
        self.batches = PostgresBatches(database)
        self.ledger = PostgresLedger(database)
        self.workflows = StartedWorkflows()
        self.limits = LIMITS
        self.draft: BatchDraft
        self.batch: Batch

    async def post(self, *drafts: BatchItemDraft, concurrency: int = 10, tenant_id: str = "") -> None:
        tenant_id = tenant_id or await self.books.tenant(1000)
        self.draft = replace(await batch_of(self.database, tenant_id, *drafts), concurrency=concurrency)
        self.batch, _ = await self.batches.create_batch(self.draft, None, "print", max_open=1)

    async def post_beside(self, *drafts: BatchItemDraft) -> "Site":
        """Post another batch of the same key; return whoever works on that."""
        other = Site(self.database, self.books)
        other.limits, other.draft = self.limits, replace(self.draft, items=drafts)
        other.batch, _ = await self.batches.create_batch(other.draft, None, "print", max_open=100)
        return other

    async def advance(self, pace: Pace | None = None) -> BatchReport:
        quick = pace or Pace(pass_seconds=0)
        parts = batch_parts_of(self.database, self.workflows, limits=self.limits, pace=quick)
        report: BatchReport = await ActivityEnvironment().run(parts.activities.advance_batch, self.batch.id)
        return report

    async def end_all(self) -> None:
        """End every generation that was started, as failed."""
        for started in self.workflows.started:
            terminal_state = TerminalState(Status.FAILED, "provider_failed")
            await self.ledger.refund(started.generation_id, terminal_state)

    async def read(self) -> Batch:
        return await self.batches.get_batch_of(self.draft.tenant_id, self.batch.id)

    async def items(self) -> list[BatchItem]:
        found = await self.batches.list_batch_items(
            self.draft.tenant_id, self.batch.id, after=None, limit=1000
        )
        return list(found)
