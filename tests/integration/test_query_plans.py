"""Every list uses an index that fits it, on tables as large as those of a busy installation."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from adapters.database.input_files import PostgresInputFiles
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.reconcile_queries import PostgresReconcileQueries
from admin.bootstrap import migrate
from devstack.servers.running import Servers
from domain.catalog import Catalog
from domain.generation import Status
from domain.ports import Page
from tests.integration.conftest import new_database
from tests.support.requests import NOW

pytestmark = pytest.mark.slow

LIMIT = 100
# The tables are large, so a plan that reads a whole one, or sorts much more than it returns, does not fit.
MAX_SORTED_ROWS = 20 * LIMIT
LARGE = {"generations", "entries", "transfers", "provider_slots", "input_files", "inbox"}
FILL = Path(__file__).with_name("large_tables.sql").read_text()
Call = Callable[[Database], Awaitable[object]]
MOMENT = timedelta(seconds=5)
AFTER = Page(NOW, "gen_1")
CATALOG = Catalog({}, {})
LISTS: dict[str, Call] = {
    "generations": lambda db: PostgresGenerations(db).list_generations(
        "ten_0", status=None, after=None, limit=LIMIT
    ),
    "generations, next page": lambda db: PostgresGenerations(db).list_generations(
        "ten_0", status=None, after=AFTER, limit=LIMIT
    ),
    "generations of a rare status": lambda db: PostgresGenerations(db).list_generations(
        "ten_0", status=Status.FAILED, after=None, limit=LIMIT
    ),
    "generations of no status": lambda db: PostgresGenerations(db).list_generations(
        "ten_0", status=Status.CANCELED, after=AFTER, limit=LIMIT
    ),
    "entries": lambda db: PostgresCreditAccounts(db).list_entries("ten_0", before=None, limit=LIMIT),
    "entries, next page": lambda db: PostgresCreditAccounts(db).list_entries(
        "ten_0", before=200_000, limit=LIMIT
    ),
    "not started": lambda db: PostgresReconcileQueries(db, CATALOG).list_not_started(MOMENT, LIMIT),
    "to cancel": lambda db: PostgresReconcileQueries(db, CATALOG).list_to_cancel(MOMENT, LIMIT),
    "open": lambda db: PostgresReconcileQueries(db, CATALOG).list_stuck(MOMENT, LIMIT),
    "unrelayed": lambda db: PostgresReconcileQueries(db, CATALOG).list_unrelayed(MOMENT, LIMIT),
    "orphaned": lambda db: PostgresReconcileQueries(db, CATALOG).list_with_orphaned_objects(MOMENT, LIMIT),
    "queue position": lambda db: PostgresProviderSlots(db, {}).queue_position("gen_99999"),
    "grant": lambda db: PostgresProviderSlots(db, {"fal": 42}).grant_free("fal"),
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
    """Collect every statement with its parameters."""
    seen: list[tuple[str, Sequence[Any]]] = []

    def note(_: object, __: object, statement: str, parameters: Sequence[Any], *___: object) -> None:
        seen.append((statement, parameters))

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def misfits(plan: dict[str, Any]) -> list[str]:
    """Return what in a plan does not fit a list of a few rows."""
    found = []
    for node in nodes(plan):
        kind, table, rows = node["Node Type"], node.get("Relation Name"), node["Plan Rows"]
        if kind == "Seq Scan" and table in LARGE:
            found.append(f"reads all of {table}")
        if kind == "Sort" and max(child["Plan Rows"] for child in node["Plans"]) > MAX_SORTED_ROWS:
            found.append(f"sorts {rows} rows")
    return found


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_uses_an_index_that_fits_it(
    url: str, database: Database, statements: list[tuple[str, Sequence[Any]]], name: str
) -> None:
    await LISTS[name](database)
    assert statements
    connection = await asyncpg.connect(url)
    try:
        for statement, parameters in statements:
            explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *parameters)
            [document] = json.loads(explained)
            assert misfits(document["Plan"]) == [], json.dumps(document["Plan"], indent=1)
    finally:
        await connection.close()


async def test_expired_files_are_read_once_for_many(url: str, database: Database) -> None:
    """Read 200 of 30,000 expired files: what is needed is looked up once, and not once for each."""
    found = await PostgresInputFiles(database).list_expired_files(200)
    assert len(found) == 200


def test_the_check_sees_a_plan_that_does_not_fit() -> None:
    scan = {"Node Type": "Seq Scan", "Relation Name": "entries", "Plan Rows": 400_000}
    assert misfits({"Node Type": "Sort", "Plan Rows": 100, "Plans": [scan]}) == [
        "sorts 100 rows",
        "reads all of entries",
    ]
