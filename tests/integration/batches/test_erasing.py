"""What is erased of a batch and its items, by a word that is nowhere afterwards; the counts stay."""

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.database.batch_runs import PostgresBatchRuns
from adapters.database.client_batches import PostgresBatches
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure, request_erasure
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from adapters.database.retention import set_retention
from domain.batches import Batch, BatchCounts, BatchStatus
from domain.errors import FileInUse
from domain.generation import Status, TerminalState
from domain.input_files import FilePurpose
from domain.retention import DataKind, Retention
from tests.integration.erasable import CLIENT, FACTS, OPERATOR
from tests.support.batches import batch_of, item
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request

pytestmark = pytest.mark.needs_servers
KEEP = Retention({DataKind.CONTENT: None})


class Subject:
    """A batch with a word in every text that is nowhere else. Of three items one is begun, and one failed."""

    def __init__(self, database: Database, books: PostgresBooks) -> None:
        self.database = database
        self.books = books
        self.runs = PostgresBatchRuns(database)
        self.batches = PostgresBatches(database)
        self.erasure = PostgresErasure(database, settled=timedelta(0))
        self.word = new_id("canary")
        self.file = f"file_{self.word}"
        self.generation_id = ""
        self.batch: Batch

    async def prepare(self, tenant_id: str) -> None:
        word = self.word
        await PostgresInputFiles(self.database).add_file(tenant_id, self.file, self.file, FACTS)
        drafts = [
            item(index, prompt=word, key=f"{word}-{index}", metadata={"name": word}, inputs=(self.file,))
            for index in range(3)
        ]
        drafts = [replace(each, custom_id=f"{word}-{each.index}") for each in drafts]
        draft = await batch_of(self.database, tenant_id, *drafts, metadata={"run": word})
        self.batch, _ = await self.batches.create_batch(draft, f"key {word}", f"print {word}", max_open=9)
        first, *_ = await self.runs.list_waiting_items(self.batch.id, 1)
        made = await self.runs.begin_item(self.batch.id, first, request(word), "print")
        assert made is not None
        self.generation_id = made.id
        await self.runs.fail_item(self.batch.id, 1, "invalid_input", f"{word}: not known")

    async def end(self) -> None:
        await PostgresLedger(self.database).refund(self.generation_id, TerminalState(Status.CANCELED))
        await self.runs.stop_batch(self.batch.id, "tenant_suspended")
        await self.runs.cancel_items(self.batch.id, 10)
        assert await self.runs.end_batch(self.batch.id) is not None

    async def found_in(self) -> dict[str, int]:
        """Return in how many rows of each table the word is."""
        found = {}
        for table in ("batches", "batch_items", "generations", "events"):
            statement = f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%' || :word || '%'"  # noqa: S608
            [(count,)] = await self.books.sql(statement, word=self.word)
            found[table] = count
        return {table: count for table, count in found.items() if count}

    async def read(self) -> Batch:
        return await self.batches.get_batch_of(self.batch.tenant_id, self.batch.id)


@pytest.fixture
async def subject(database: Database, books: PostgresBooks) -> Subject:
    subject = Subject(database, books)
    await subject.prepare(await books.tenant(100))
    return subject


async def test_no_prompt_is_left_of_an_item_that_ended(subject: Subject) -> None:
    rows = await subject.books.sql(
        "SELECT index, request IS NOT NULL AS waits FROM batch_items WHERE batch_id = :id ORDER BY index",
        id=subject.batch.id,
    )
    assert [tuple(row) for row in rows] == [(0, False), (1, False), (2, True)]


async def test_a_deleted_generation_takes_the_name_of_its_item_along(subject: Subject) -> None:
    await PostgresLedger(subject.database).refund(subject.generation_id, TerminalState(Status.CANCELED))
    await subject.erasure.delete_generation(subject.batch.tenant_id, subject.generation_id, by=CLIENT)
    found = await subject.batches.list_batch_items(
        subject.batch.tenant_id, subject.batch.id, after=None, limit=9
    )
    assert [each.custom_id is None for each in found] == [True, False, False]


async def test_content_is_kept_as_long_as_it_may_be(subject: Subject) -> None:
    await set_retention(subject.database, subject.batch.tenant_id, {DataKind.CONTENT: 0.0}, by=OPERATOR)
    await subject.erasure.erase_due(DataKind.CONTENT, KEEP, 100)
    assert (await subject.read()).content_erased_at is None  # it is open
    await subject.end()
    assert (await subject.found_in()).keys() >= {"batches", "batch_items"}
    await subject.erasure.erase_due(DataKind.CONTENT, KEEP, 100)
    batch = await subject.read()
    assert batch.content_erased_at is not None
    assert batch.metadata == {}
    assert batch.counts == BatchCounts(total=3, failed=1, canceled=2)
    # Idempotency keys stay, so that a repeat finds what there is.
    assert await subject.found_in() == {"batches": 1, "batch_items": 3, "generations": 1}
    assert await subject.erasure.erase_due(DataKind.CONTENT, KEEP, 100) == 0


async def test_nothing_is_left_of_an_erased_tenant(subject: Subject) -> None:
    tenant_id = subject.batch.tenant_id
    await request_erasure(subject.database, tenant_id, by=OPERATOR)
    assert (await subject.read()).status is BatchStatus.CANCELING
    await subject.runs.cancel_items(subject.batch.id, 10)
    await PostgresLedger(subject.database).refund(subject.generation_id, TerminalState(Status.CANCELED))
    await subject.erasure.erase_tenant_batch(tenant_id, 10)
    await subject.books.sql("DELETE FROM input_files WHERE tenant_id = :id", id=tenant_id)
    await subject.erasure.erase_tenant_batch(tenant_id, 10)
    assert tenant_id in await subject.erasure.list_tenants_to_erase(10_000)  # its batch is open
    assert await subject.runs.end_batch(subject.batch.id) is not None
    for _ in range(3):
        await subject.erasure.erase_tenant_batch(tenant_id, 10)
    assert await subject.found_in() == {}
    assert tenant_id not in await subject.erasure.list_tenants_to_erase(10_000)


async def test_a_file_that_an_item_waits_for_is_not_deleted(subject: Subject) -> None:
    tenant_id, files = subject.batch.tenant_id, PostgresInputFiles(subject.database)
    with pytest.raises(FileInUse):
        await subject.erasure.expire_file(tenant_id, subject.file, by=CLIENT)
    expire = "UPDATE input_files SET expires_at = now() - interval '9 years' WHERE id = :id"
    await subject.books.sql(expire, id=subject.file)
    assert subject.file not in [each.id for each in await files.list_expired_files(100)]
    await subject.end()
    await subject.books.sql(expire, id=subject.file)
    assert subject.file in [each.id for each in await files.list_expired_files(100)]


async def test_lines_that_are_checked_are_not_deleted(subject: Subject) -> None:
    tenant_id, files, file_id = subject.batch.tenant_id, PostgresInputFiles(subject.database), new_id("file")
    lines = replace(FACTS, width=0, height=0, content_type="application/jsonl")
    await files.add_file(tenant_id, file_id, file_id, lines, FilePurpose.BATCH)
    draft = await batch_of(subject.database, tenant_id, input_file_id=file_id, endpoint="/v1/generations")
    batch, _ = await subject.batches.create_batch(draft, None, "print", max_open=9)
    with pytest.raises(FileInUse):
        await subject.erasure.expire_file(tenant_id, file_id, by=CLIENT)
    await subject.batches.record_batch_cancel(tenant_id, batch.id)
    await subject.erasure.expire_file(tenant_id, file_id, by=CLIENT)
