"""The steps of a batch, also repeated and at once: no item makes two generations, and none is left."""

import asyncio
from dataclasses import replace

import pytest

from adapters.database.batch_runs import PostgresBatchRuns
from adapters.database.client_batches import PostgresBatches
from adapters.database.engine import Database
from domain.batch_runs import WaitingItem
from domain.batches import Batch, BatchCounts, BatchStatus, ItemStatus
from domain.generation import Status, TerminalState
from tests.contracts.subjects import Subject
from tests.support.batches import batch_of, items
from tests.support.requests import request

pytestmark = pytest.mark.needs_servers


@pytest.fixture
def runs(database: Database) -> PostgresBatchRuns:
    return PostgresBatchRuns(database)


class Story:
    """One batch, and the steps of whoever works on it."""

    def __init__(self, subject: Subject, runs: PostgresBatchRuns, database: Database, batch: Batch) -> None:
        self.subject = subject
        self.runs = runs
        self.batches = PostgresBatches(database)
        self.batch = batch
        self.id = batch.id

    async def begin(self, item: WaitingItem) -> str | None:
        made = await self.runs.begin_item(self.id, item, request(item.request.parameters["prompt"]), "print")
        return made.id if made is not None else None

    async def begin_all(self) -> list[str]:
        """Begin what waits, one after the other, until there is room for no more."""
        made = [await self.begin(each) for each in await self.runs.list_waiting_items(self.id, 100)]
        return [each for each in made if each is not None]

    async def end(self, generation_id: str, status: Status = Status.CANCELED) -> None:
        code = "provider_failed" if status is Status.FAILED else None
        await self.subject.ledger.refund(generation_id, TerminalState(status, code))

    async def read(self) -> Batch:
        return await self.batches.get_batch_of(self.batch.tenant_id, self.id)

    async def events(self) -> list[tuple[str, dict[str, object]]]:
        rows = await self.subject.books.sql(
            "SELECT type, data FROM events WHERE tenant_id = :tenant AND type LIKE 'batch.%'",
            tenant=self.batch.tenant_id,
        )
        return [(row.type, row.data) for row in rows]


async def started(
    subject: Subject, runs: PostgresBatchRuns, database: Database, count: int = 5, concurrency: int = 100
) -> Story:
    tenant_id = await subject.books.tenant(100)
    draft = replace(await batch_of(database, tenant_id, *items(count)), concurrency=concurrency)
    batch, _ = await PostgresBatches(database).create_batch(draft, None, "print", max_open=1)
    return Story(subject, runs, database, batch)


async def test_an_item_makes_one_generation(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    story = await started(subject, runs, database)
    waiting = await runs.list_waiting_items(story.id, 100)
    made = await asyncio.gather(*(story.begin(each) for _ in range(4) for each in waiting))
    ids = [each for each in made if each is not None]
    assert len(ids) == len(set(ids)) == 5
    for generation_id in ids:
        generation = await subject.books.read(generation_id)
        assert generation.batch_id == story.id
    assert await runs.list_waiting_items(story.id, 100) == []
    rows = await subject.books.sql("SELECT request FROM batch_items WHERE batch_id = :id", id=story.id)
    assert [row.request for row in rows] == [None] * 5


async def test_there_are_never_more_than_its_concurrency(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    story = await started(subject, runs, database, count=12, concurrency=3)
    waiting = await runs.list_waiting_items(story.id, 100)
    made = await asyncio.gather(*(story.begin(each) for each in waiting))
    ids = [each for each in made if each is not None]
    assert len(ids) == 3
    await story.end(ids[0])
    made = await asyncio.gather(*(story.begin(each) for each in waiting))
    assert len([each for each in made if each is not None]) == 1


async def test_none_is_made_after_a_cancel(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    """Begin and cancel at once: what is not begun is canceled, and nothing is begun afterwards."""
    story = await started(subject, runs, database, count=20)
    waiting = await runs.list_waiting_items(story.id, 100)
    cancel = story.batches.record_batch_cancel(story.batch.tenant_id, story.id)
    made, _ = await asyncio.gather(asyncio.gather(*(story.begin(each) for each in waiting)), cancel)
    ids = [each for each in made if each is not None]
    assert await story.begin_all() == []
    assert await runs.cancel_items(story.id, 1000) == 20 - len(ids)
    assert sorted(await runs.list_generations_to_cancel(story.id)) == sorted(ids)
    for generation_id in ids:
        await subject.books.cancel(generation_id)
    assert await runs.list_generations_to_cancel(story.id) == []
    counts = (await story.read()).counts
    assert counts == BatchCounts(total=20, in_progress=len(ids), canceled=20 - len(ids))


async def test_what_waits_when_the_cancel_is_stored_is_never_begun(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    story = await started(subject, runs, database, count=3)
    waiting = await runs.list_waiting_items(story.id, 100)
    await story.batches.record_batch_cancel(story.batch.tenant_id, story.id)
    assert [await story.begin(each) for each in waiting] == [None] * 3
    assert (await story.read()).counts == BatchCounts(total=3, waiting=3)


async def test_it_ends_with_its_last_item_and_one_event(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    story = await started(subject, runs, database, count=4)
    assert await runs.end_batch(story.id) is None
    assert await runs.fail_item(story.id, 0, "model_not_found", "No such model.")
    assert not await runs.fail_item(story.id, 0, "model_not_found", "No such model.")
    ids = await story.begin_all()
    assert await runs.end_batch(story.id) is None
    await story.end(ids[0], Status.FAILED)
    await story.end(ids[1])
    await subject.ledger.reserve(ids[2])
    await subject.books.store(ids[2])
    await subject.ledger.settle(ids[2])
    ended = await asyncio.gather(*(runs.end_batch(story.id) for _ in range(5)))
    [batch] = [each for each in ended if each is not None]
    assert batch == await story.read()
    assert batch.counts == BatchCounts(total=4, completed=1, failed=2, canceled=1)
    assert (batch.status, batch.charged_credits) == (BatchStatus.COMPLETED, 4)
    [(kind, facts)] = await story.events()
    assert kind == "batch.completed"
    assert facts == {
        "batch_id": story.id,
        "status": "completed",
        "error_code": None,
        "total": 4,
        "completed": 1,
        "failed": 2,
        "canceled": 1,
        "price_credits": 12,
        "charged_credits": 4,
    }


async def test_items_are_listed_by_how_they_ended(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    story = await started(subject, runs, database, count=4, concurrency=3)
    await runs.fail_item(story.id, 3, "file_not_found", "No such file.")
    ids = await story.begin_all()
    await story.end(ids[0], Status.FAILED)
    await story.end(ids[1])

    async def listed(status: ItemStatus) -> list[int]:
        found = await story.batches.list_batch_items(
            story.batch.tenant_id, story.id, after=None, limit=10, status=status
        )
        assert {each.status for each in found} <= {status}
        return [each.index for each in found]

    assert await listed(ItemStatus.FAILED) == [0, 3]
    assert await listed(ItemStatus.CANCELED) == [1]
    assert await listed(ItemStatus.IN_PROGRESS) == [2]
    assert await listed(ItemStatus.WAITING) == []


async def test_a_generation_that_was_found_is_neither_canceled_nor_charged(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    story = await started(subject, runs, database, count=2)
    other = await subject.books.add(story.batch.tenant_id)
    assert await runs.attach_item(story.id, 0, other)
    assert not await runs.attach_item(story.id, 0, other)
    [made] = await story.begin_all()
    await story.batches.record_batch_cancel(story.batch.tenant_id, story.id)
    assert await runs.list_generations_to_cancel(story.id) == [made]
    assert await runs.cancel_items(story.id, 100) == 1
    await story.end(made)
    ended = await runs.end_batch(story.id)
    assert ended is not None
    assert (ended.status, ended.counts.canceled, ended.charged_credits) == (BatchStatus.CANCELED, 2, 0)
    assert not (await subject.books.read(other)).cancel_requested


async def test_a_batch_that_is_stopped_says_why(
    subject: Subject, runs: PostgresBatchRuns, database: Database
) -> None:
    story = await started(subject, runs, database, count=3, concurrency=1)
    [made] = await story.begin_all()
    await runs.stop_batch(story.id, "key_not_valid")
    await runs.stop_batch(story.id, "tenant_suspended")
    assert await runs.cancel_items(story.id, 1) == 1
    assert await runs.cancel_items(story.id, 100) == 1
    assert await runs.list_generations_to_cancel(story.id) == [made]
    look = await runs.look_at_batch(story.id)
    assert not look.is_cancel_requested
    await story.end(made, Status.FAILED)
    ended = await runs.end_batch(story.id)
    assert ended is not None
    assert (ended.status, ended.error_code) == (BatchStatus.CANCELED, "key_not_valid")
    found = await story.batches.list_batch_items(story.batch.tenant_id, story.id, after=0, limit=9)
    assert {each.error_code for each in found} == {"key_not_valid"}
