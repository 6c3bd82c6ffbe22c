"""The file of a batch: its items as they stand in it, or what is wrong with each line, and nothing else."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities import batch_lines
from adapters.database.client_batches import PostgresBatches
from adapters.database.engine import Database
from adapters.database.input_files import PostgresInputFiles
from domain.batch_lines import MAX_LINE_BYTES
from domain.batches import Batch, BatchCounts, BatchItem, BatchStatus, LineError
from domain.input_files import FilePurpose, ImageFacts
from tests.support.batches import PRICE_CREDITS, batch_of, batch_parts_of
from tests.support.books import PostgresBooks
from tests.support.memory_store import MemoryStore
from tests.support.requests import new_id

pytestmark = pytest.mark.needs_servers
ENDPOINT = "/v1/generations"


def line(number: int, **changes: Any) -> str:
    body = {"model": "maker", "prompt": f"fox {number}"} | changes.pop("body", {})
    return json.dumps(
        {"custom_id": f"item-{number}", "method": "POST", "url": ENDPOINT, "body": body} | changes
    )


class Site:
    """A batch of a file, and whoever checks it."""

    def __init__(self, database: Database, books: PostgresBooks) -> None:
        self.database = database
        self.books = books
        self.batches = PostgresBatches(database)
        self.store = MemoryStore()
        self.tenant_id = ""
        self.id = ""

    async def post(
        self, content: str | bytes | Sequence[str], *, credits: int = 1000, max_cost: int | None = None
    ) -> None:
        if not isinstance(content, str | bytes):
            content = "".join(f"{each}\n" for each in content)
        content = content.encode() if isinstance(content, str) else content
        self.tenant_id, file_id = await self.books.tenant(credits), new_id("file")
        facts = ImageFacts(0, 0, "application/jsonl", max(len(content), 1), "ab" * 32)
        await PostgresInputFiles(self.database).add_file(
            self.tenant_id, file_id, file_id, facts, FilePurpose.BATCH
        )
        self.store.objects[file_id] = content
        draft = await batch_of(
            self.database, self.tenant_id, input_file_id=file_id, endpoint=ENDPOINT, max_cost=max_cost
        )
        self.id = (await self.batches.create_batch(draft, None, "print", max_open=1))[0].id

    async def check(self) -> Batch:
        parts = batch_parts_of(self.database, store=self.store)
        await ActivityEnvironment().run(parts.activities.validate_batch, self.id)
        return await self.batches.get_batch_of(self.tenant_id, self.id)

    async def items(self) -> Sequence[BatchItem]:
        return await self.batches.list_batch_items(self.tenant_id, self.id, after=None, limit=5000)

    async def is_refused(self, *errors: LineError, code: str = "invalid_input") -> None:
        """Check that nothing is left of it but why."""
        batch = await self.check()
        assert (batch.status, batch.error_code) == (BatchStatus.FAILED, code)
        assert (batch.error_count, batch.errors) == (len(errors), errors)
        assert batch.counts == BatchCounts()
        assert await self.items() == []
        events = (
            "SELECT data ->> 'batch_id' AS id FROM events WHERE tenant_id = :id AND type = 'batch.failed'"
        )
        assert await self.books.sql(events, id=self.tenant_id) == [(self.id,)]


@pytest.fixture
def site(database: Database, books: PostgresBooks) -> Site:
    return Site(database, books)


async def test_a_good_file_becomes_items(site: Site) -> None:
    await site.post([line(1), line(2, body={"size": "512x512"}, idempotency_key="a key"), line(3)])
    batch = await site.check()
    assert (batch.status, batch.price_credits) == (BatchStatus.IN_PROGRESS, 3 * PRICE_CREDITS)
    assert batch.counts == BatchCounts(total=3, waiting=3)
    assert batch.started_at is not None
    assert [(each.index, each.custom_id, each.idempotency_key) for each in await site.items()] == [
        (0, "item-1", None),
        (1, "item-2", "a key"),
        (2, "item-3", None),
    ]
    assert await site.check() == batch


async def test_the_last_line_needs_no_end_and_lines_may_end_in_two_ways(site: Site) -> None:
    await site.post(f"{line(1)}\r\n{line(2)}")
    assert (await site.check()).counts == BatchCounts(total=2, waiting=2)


async def test_a_check_that_was_cut_off_is_made_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies between chunks leaves items: they are found, and none is there twice."""
    await site.post([line(number) for number in range(1, 242)], credits=10_000)
    read = batch_lines.FileLines.next_items
    chunks = 0

    def dying(self: batch_lines.FileLines, limit: int) -> Any:
        nonlocal chunks
        chunks += 1
        if chunks == 3:
            raise ConnectionError
        return read(self, limit)

    monkeypatch.setattr(batch_lines.FileLines, "next_items", dying)
    with pytest.raises(ConnectionError):
        await site.check()
    left = await site.batches.get_batch_of(site.tenant_id, site.id)
    assert (left.status, left.counts.total) == (BatchStatus.VALIDATING, 200)
    monkeypatch.undo()
    assert (await site.check()).counts == BatchCounts(total=241, waiting=241)


async def test_every_wrong_line_is_named_and_nothing_is_left(site: Site) -> None:
    await site.post(
        [
            line(1),
            "no JSON",
            line(3, body={"model": "gone"}),
            line(4, body={"prompt": "longer than this model takes"}),
            line(5, custom_id="item-1"),
            "x" * (MAX_LINE_BYTES + 10),
            line(7),
        ]
    )
    await site.is_refused(
        LineError(2, "invalid_input", "", "one JSON object"),
        LineError(3, "model_not_found", "body.model", "No such model."),
        LineError(4, "invalid_input", "body.prompt", "1 to 20 characters"),
        LineError(5, "invalid_input", "custom_id", "the same as in line 1"),
        LineError(6, "invalid_input", "", f"at most {MAX_LINE_BYTES} bytes"),
    )


async def test_bytes_that_are_no_text(site: Site) -> None:
    await site.post(b"\xff\xfe\n" + line(2).encode())
    await site.is_refused(LineError(1, "invalid_input", "", "UTF-8"))


async def test_a_file_without_lines(site: Site) -> None:
    await site.post("")
    await site.is_refused(LineError(1, "invalid_input", "", "at least one line"))


async def test_more_lines_than_a_batch_may_have(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_lines, "MAX_FILE_ITEMS", 3)
    await site.post([line(number) for number in range(1, 6)])
    await site.is_refused(LineError(4, "invalid_input", "", "at most 3 lines"))


async def test_only_the_first_errors_are_kept(site: Site) -> None:
    await site.post(["no JSON"] * 250)
    batch = await site.check()
    assert (batch.error_count, len(batch.errors)) == (250, 100)


async def test_the_price_of_all_is_checked_once(site: Site) -> None:
    lines = [line(1), line(2)]
    await site.post(lines, credits=2 * PRICE_CREDITS - 1)
    await site.is_refused(code="insufficient_credits")
    await site.post(lines, max_cost=2 * PRICE_CREDITS - 1)
    await site.is_refused(code="max_cost_exceeded")
    refused = await site.batches.get_batch_of(site.tenant_id, site.id)
    assert refused.price_credits == 2 * PRICE_CREDITS
    await site.post(lines, credits=2 * PRICE_CREDITS, max_cost=2 * PRICE_CREDITS)
    assert (await site.check()).status is BatchStatus.IN_PROGRESS


async def test_a_file_that_is_gone(site: Site) -> None:
    await site.post([line(1)])
    await site.books.sql("DELETE FROM input_files WHERE tenant_id = :id", id=site.tenant_id)
    await site.is_refused(code="file_not_found")


async def test_a_cancel_ends_the_check(site: Site) -> None:
    await site.post([line(1)])
    await site.batches.record_batch_cancel(site.tenant_id, site.id)
    batch = await site.check()
    assert (batch.status, batch.counts) == (BatchStatus.CANCELING, BatchCounts())
