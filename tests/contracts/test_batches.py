"""Batches as clients see them: created once, counted, listed, canceled."""

import asyncio

import pytest

from adapters.database.client_batches import PostgresBatches
from adapters.database.engine import Database
from adapters.database.input_files import PostgresInputFiles
from domain.batches import BatchCounts, BatchStatus, ItemState, ItemStatus
from domain.errors import BatchNotFound, FileNotFound, TooManyOpenBatches
from domain.input_files import FilePurpose, ImageFacts
from tests.contracts.subjects import Subject
from tests.support.batches import PRICE_CREDITS, batch_of, item, items
from tests.support.requests import new_id

pytestmark = pytest.mark.needs_servers
LINES = ImageFacts(0, 0, "application/jsonl", 100, "ab" * 32)


@pytest.fixture
def batches(database: Database) -> PostgresBatches:
    return PostgresBatches(database)


async def test_a_batch_is_as_it_was_asked_for(
    batches: PostgresBatches, subject: Subject, database: Database
) -> None:
    tenant_id = await subject.books.tenant()
    draft = await batch_of(database, tenant_id, *items(3), metadata={"run": "1"}, max_cost=100)
    batch, is_new = await batches.create_batch(draft, None, "print", max_open=1)
    assert is_new
    assert batch.id.startswith("bat_")
    assert (batch.status, batch.metadata, batch.max_cost) == (BatchStatus.IN_PROGRESS, {"run": "1"}, 100)
    assert batch.price_credits == 3 * PRICE_CREDITS
    assert batch.counts == BatchCounts(total=3, waiting=3)
    assert batch.started_at is not None
    assert await batches.get_batch_of(tenant_id, batch.id) == batch
    assert await batches.list_batches(tenant_id, after=None, limit=10) == [batch]


async def test_a_key_makes_one_batch(batches: PostgresBatches, subject: Subject, database: Database) -> None:
    tenant_id = await subject.books.tenant()
    draft = await batch_of(database, tenant_id, item())
    made = await asyncio.gather(
        *(batches.create_batch(draft, "a key", "print", max_open=1) for _ in range(5))
    )
    assert len({batch.id for batch, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1
    assert await batches.find_batch_by_key(tenant_id, "a key") == (made[0][0], "print")
    assert await batches.find_batch_by_key(tenant_id, "another") is None


async def test_only_so_many_are_open(batches: PostgresBatches, subject: Subject, database: Database) -> None:
    tenant_id = await subject.books.tenant()
    draft = await batch_of(database, tenant_id, item())
    made = await asyncio.gather(
        *(batches.create_batch(draft, None, "print", max_open=2) for _ in range(6)), return_exceptions=True
    )
    refused = [each for each in made if isinstance(each, TooManyOpenBatches)]
    assert len(refused) == 4
    assert len(await batches.list_batches(tenant_id, after=None, limit=10)) == 2


async def test_another_tenants_batch_is_like_none(
    batches: PostgresBatches, subject: Subject, database: Database
) -> None:
    other = await subject.books.tenant()
    draft = await batch_of(database, await subject.books.tenant(), item())
    batch, _ = await batches.create_batch(draft, None, "print", max_open=1)
    with pytest.raises(BatchNotFound):
        await batches.get_batch_of(other, batch.id)
    with pytest.raises(BatchNotFound):
        await batches.list_batch_items(other, batch.id, after=None, limit=1)
    with pytest.raises(BatchNotFound):
        await batches.record_batch_cancel(other, batch.id)
    assert await batches.list_batches(other, after=None, limit=1) == []


async def test_a_file_is_of_the_tenant_and_of_lines(
    batches: PostgresBatches, subject: Subject, database: Database
) -> None:
    tenant_id, files = await subject.books.tenant(), PostgresInputFiles(database)
    lines, image = new_id("file"), new_id("file")
    await files.add_file(tenant_id, lines, lines, LINES, FilePurpose.BATCH)
    await files.add_file(tenant_id, image, image, ImageFacts(10, 10, "image/png", 100, "ab" * 32))
    draft = await batch_of(database, tenant_id, input_file_id=lines, endpoint="/v1/generations")
    batch, _ = await batches.create_batch(draft, None, "print", max_open=1)
    assert (batch.status, batch.started_at) == (BatchStatus.VALIDATING, None)
    for file_id in (image, new_id("file")):
        wrong = await batch_of(database, tenant_id, input_file_id=file_id, endpoint="/v1/generations")
        with pytest.raises(FileNotFound):
            await batches.create_batch(wrong, None, "print", max_open=9)
    assert len(await batches.list_batches(tenant_id, after=None, limit=10)) == 1


async def test_lists_go_on_where_they_ended(
    batches: PostgresBatches, subject: Subject, database: Database
) -> None:
    tenant_id = await subject.books.tenant()
    draft = await batch_of(database, tenant_id, *items(5))
    made = [(await batches.create_batch(draft, None, "print", max_open=9))[0].id for _ in range(3)]
    first = await batches.list_batches(tenant_id, after=None, limit=2)
    rest = await batches.list_batches(tenant_id, after=first[-1].id, limit=2)
    assert {batch.id for batch in (*first, *rest)} == set(made)
    assert [len(first), len(rest)] == [2, 1]
    page = await batches.list_batch_items(tenant_id, made[0], after=1, limit=2)
    assert [(each.index, each.custom_id) for each in page] == [(2, "item-2"), (3, "item-3")]
    assert {(each.state, each.status) for each in page} == {(ItemState.WAITING, ItemStatus.WAITING)}
    none = await batches.list_batch_items(
        tenant_id, made[0], after=None, limit=2, status=ItemStatus.COMPLETED
    )
    assert none == []
    assert len(await batches.list_batches(tenant_id, after=None, limit=9, status=BatchStatus.CANCELED)) == 0


async def test_a_cancel_is_stored_once(
    batches: PostgresBatches, subject: Subject, database: Database
) -> None:
    tenant_id = await subject.books.tenant()
    draft = await batch_of(database, tenant_id, item())
    batch, _ = await batches.create_batch(draft, None, "print", max_open=1)
    canceled = await batches.record_batch_cancel(tenant_id, batch.id)
    assert canceled.status is BatchStatus.CANCELING
    assert canceled.cancel_requested_at is not None
    assert await batches.record_batch_cancel(tenant_id, batch.id) == canceled
