"""What a look at batches costs: a batch that has ended is its row."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from adapters.database.batch_mapping import read_batches
from adapters.database.engine import Database
from tests.integration.batches.passing import Site
from tests.support.batches import items
from tests.support.books import PostgresBooks

pytestmark = pytest.mark.needs_servers
_END = "UPDATE batches SET status = 'completed', finished_at = now() WHERE id = :id"


def tables_read(plan: dict[str, Any]) -> Iterator[str]:
    """Return the tables that were looked into."""
    if plan["Actual Loops"] and "Relation Name" in plan:
        yield plan["Relation Name"]
    for child in plan.get("Plans", ()):
        yield from tables_read(child)


async def test_items_are_counted_for_open_batches_only(database: Database, books: PostgresBooks) -> None:
    site = Site(database, books)
    await site.post(*items(20))
    explain = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {read_batches('b.id = :batch')}")

    async def read() -> set[str]:
        async with database.begin() as session:
            [found] = (await session.scalars(explain, {"batch": site.batch.id})).one()
        return set(tables_read(found["Plan"]))

    while_open = await read()
    await books.sql(_END, id=site.batch.id)
    assert {"batch_items", "generations"} <= while_open
    assert await read() == {"batches"}
