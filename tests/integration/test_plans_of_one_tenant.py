"""What one tenant reads of its money, where it is the only one: some of its accounts have very few entries.

There the planner, which knows how often an account is named on average, would walk all entries to find them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from adapters.database.books import PostgresBooks
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from admin.bootstrap import migrate
from devstack.servers.running import Servers
from tests.integration.conftest import new_database
from tests.integration.test_query_plans import explain, rows_read

pytestmark = pytest.mark.slow

MAX_READ_ROWS = 500
LIMIT = 20
FILL = Path(__file__).with_name("one_tenant.sql").read_text()
MONTHS = (date(2025, 8, 1), date(2025, 9, 1), date(2025, 10, 1), date(2025, 11, 1))
READS: dict[str, Callable[[Database], Awaitable[object]]] = {
    "the last statement": lambda db: PostgresBooks(db).read_statement("ten_0", MONTHS[-1]),
    "a statement": lambda db: PostgresBooks(db).read_statement("ten_0", MONTHS[1]),
    "months": lambda db: PostgresBooks(db).list_months("ten_0", before=None, limit=LIMIT),
    "entries": lambda db: PostgresCreditAccounts(db).list_entries("ten_0", before=None, limit=LIMIT),
    "entries, next page": lambda db: PostgresCreditAccounts(db).list_entries(
        "ten_0", before=100_000, limit=LIMIT
    ),
}


@pytest.fixture(scope="module")
async def url(servers: Servers) -> str:
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    connection = await asyncpg.connect(url)
    await connection.execute(FILL)
    await connection.close()
    return url


@pytest.fixture(scope="module")
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=2)
    yield database
    await database.close()


@pytest.fixture
def statements(database: Database) -> Iterator[list[tuple[str, Sequence[Any]]]]:
    seen: list[tuple[str, Sequence[Any]]] = []

    def note(_: object, __: object, statement: str, parameters: Sequence[Any], *___: object) -> None:
        seen.append((statement, parameters))

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", READS)
async def test_what_is_read_does_not_grow_with_the_history(
    url: str, database: Database, statements: list[tuple[str, Sequence[Any]]], name: str
) -> None:
    await READS[name](database)
    assert statements
    connection = await asyncpg.connect(url)
    try:
        for statement, parameters in statements:
            for mode in ("force_custom_plan", "force_generic_plan"):
                await connection.execute(f"SET plan_cache_mode = {mode}")
                done = await explain(connection, "ANALYZE, TIMING off", statement, parameters)
                assert rows_read(done) <= MAX_READ_ROWS, (mode, json.dumps(done, indent=1))
    finally:
        await connection.close()


async def test_every_month_of_it_adds_up(database: Database) -> None:
    read = [await PostgresBooks(database).read_statement("ten_0", month) for month in MONTHS]
    assert [each.adds_up for each in read] == [True] * len(MONTHS)
    assert sum(each.charged for each in read) == 50_000
    assert read[-1].closing == 1_000_000 - 50_000
