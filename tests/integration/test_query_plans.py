"""Every list uses an index that fits it, on tables as large as those of a busy installation."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from adapters.database.books import PostgresBooks
from adapters.database.credits import PostgresCreditAccounts
from adapters.database.durations import PostgresDurations
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.image_requests import PostgresImageRequests
from adapters.database.input_files import PostgresInputFiles
from adapters.database.key_lists import PostgresKeyLists
from adapters.database.lots import PostgresLots
from adapters.database.progress import PostgresProgressRecords
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.reconcile_queries import PostgresReconcileQueries
from admin.bootstrap import migrate
from devstack.servers.running import Servers
from domain.catalog import Catalog
from domain.image_requests import ImageRequest
from domain.statements import UsageGroup, UsageLine, UsageQuery, month_of
from tests.integration import filtered_lists
from tests.integration.conftest import new_database

pytestmark = pytest.mark.slow

LIMIT = 100
# The tables are large, so a plan that reads a whole one, or sorts much more than it returns, does not fit.
MAX_SORTED_ROWS = 20 * LIMIT
# Rows that are walked, read again by their ids, and looked up in the terms.
MAX_READ_ROWS = 3 * MAX_SORTED_ROWS
LARGE = {
    "image_requests",
    *("generations", "generation_terms", "entries", "transfers", "provider_slots", "input_files", "inbox"),
}
FILL = Path(__file__).with_name("large_tables.sql").read_text()
Call = Callable[[Database], Awaitable[object]]
MOMENT = timedelta(seconds=5)
CATALOG = Catalog({}, {})
THIS_MONTH = month_of(datetime.now(UTC).date())
LAST_MONTH = month_of(THIS_MONTH - timedelta(days=1))
REPEATED = ImageRequest(
    "c", "key", "route", ("f7",), retry_count=1, marks_repeats=True, is_gone=lambda: False
)


async def used(groups: tuple[UsageGroup, ...], database: Database) -> None:
    wanted = UsageQuery(date(2021, 1, 1), date(2021, 12, 31), groups)
    for after in (None, UsageLine(date(2021, 6, 1), "m", "", 0, 0, 0)):
        await PostgresBooks(database).list_usage("ten_0", wanted, after=after, limit=LIMIT)


LISTS: dict[str, Call] = {
    "jobs of a repeated request": lambda db: PostgresImageRequests(db).adopt(REPEATED),
    "requests that are too old": lambda db: PostgresImageRequests(db).forget_old(),
    **{f"generations: {name}": call for name, call in filtered_lists.LISTS.items()},
    "durations": lambda db: PostgresDurations(db).measure_durations("m"),
    "durations of no job": lambda db: PostgresDurations(db).measure_durations("none"),
    "entries": lambda db: PostgresCreditAccounts(db).list_entries("ten_0", before=None, limit=LIMIT),
    "entries, next page": lambda db: PostgresCreditAccounts(db).list_entries(
        "ten_0", before=200_000, limit=LIMIT
    ),
    "a statement": lambda db: PostgresBooks(db).read_statement("ten_0", THIS_MONTH),
    "a statement of the past": lambda db: PostgresBooks(db).read_statement("ten_0", LAST_MONTH),
    "months": lambda db: PostgresBooks(db).list_months("ten_0", before=None, limit=LIMIT),
    **{
        f"usage by {', '.join(groups) or 'nothing'}": partial(used, groups)
        for size in range(len(UsageGroup) + 1)
        for groups in combinations(UsageGroup, size)
    },
    "balance": lambda db: PostgresCreditAccounts(db).balance("ten_0"),
    "lots": lambda db: PostgresLots(db).list_lots("ten_0", after=None, limit=LIMIT, open_only=False),
    "lots, next page": lambda db: PostgresLots(db).list_lots(
        "ten_0", after="lot_50000", limit=LIMIT, open_only=False
    ),
    "not started": lambda db: PostgresReconcileQueries(db, CATALOG).list_not_started(MOMENT, LIMIT),
    "to cancel": lambda db: PostgresReconcileQueries(db, CATALOG).list_to_cancel(MOMENT, LIMIT),
    "past cancel_at": lambda db: PostgresReconcileQueries(db, CATALOG).list_past_cancel_at(MOMENT, LIMIT),
    "images to expire": lambda db: PostgresErasure(db).erase_expired_images(LIMIT),
    "open": lambda db: PostgresReconcileQueries(db, CATALOG).list_stuck(MOMENT, LIMIT),
    "unrelayed": lambda db: PostgresReconcileQueries(db, CATALOG).list_unrelayed(MOMENT, LIMIT),
    "orphaned": lambda db: PostgresReconcileQueries(db, CATALOG).list_with_orphaned_objects(MOMENT, LIMIT),
    "progress": lambda db: PostgresProgressRecords(db).read_progress("gen_99999"),
    "queue position": lambda db: PostgresProviderSlots(db, {}).queue_position("gen_99999"),
    "usage of a key": lambda db: PostgresKeyLists(db).read_key_usage("ten_0", "0123456789abcdef"),
    "grant": lambda db: PostgresProviderSlots(db, {"fal": 42}).grant_free("fal"),
}
# After five calls PostgreSQL keeps one plan for all parameters.
LIVES = 8
RESULT = '{"status": "succeeded", "code": null, "files": [], "images": [], "undelivered": []}'
IMAGES = (
    '[{"index": 0, "key": "k_ID", "width": 1, "height": 1, "content_type": "image/png", "size_bytes": 1,'
    f' "sha256": "{"a" * 64}", "source_sha256": null}}]'
)
STEPS = {
    "reserve": "SELECT * FROM reserve_credits_of_all(ARRAY['ID'])",
    "request a slot": "SELECT * FROM request_slot('ID', 1, '{\"fal\": 60}')",
    "begin": "SELECT * FROM begin_submit('ID', 1)",
    "note": "SELECT note_route('ID', 2, 'provider_refused')",
    "accepted": "SELECT * FROM record_accepted('ID', 1, 'job', '{}', NULL, NULL)",
    "poll": "SELECT record_poll('ID', 1, 'running', NULL, '{\"percent\": 50}')",
    "webhook": "SELECT * FROM receive_event('fal', 'ID', 1, 'event_ID', 'job', false, 'RESULT', NULL, NULL,"
    " false, NULL, NULL)",
    "begin storing": "SELECT * FROM begin_storing('ID', 1, NULL)",
    "finish": "SELECT * FROM finish_storing('ID', 'IMAGES', '[]')",
    "grant": "SELECT * FROM grant_free_slots('fal', 60)",
    "grant credits": "SELECT * FROM grant_credits('ten_1', 'ID', 5, 'paid', 50, NULL, NULL, true)",
    "take back": "SELECT * FROM take_back_credits('ten_1', 'ID', 'ID', 2)",
    "withdraw": "SELECT * FROM withdraw_credits('ten_1', 'ID', 1)",
    "thresholds": "SELECT set_thresholds('ten_1', ARRAY[2000])",
    "sweep": "SELECT sweep_lots(100)",
}
REFUND = {
    "reserve": STEPS["reserve"],
    "refund": "SELECT * FROM refund_credits('ID', 'failed', 'provider_failed', NULL, NULL, false)",
    "end lost": "SELECT * FROM end_lost_generation('ID', 'failed', 'workflow_lost', 'workflow_lost', NULL)",
}
SCANS = "SELECT relname, seq_scan FROM pg_stat_xact_user_tables"


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


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows of large tables were looked at, also those that a filter dropped."""
    return sum(
        node["Actual Loops"]
        * (
            node["Actual Rows"]
            + node.get("Rows Removed by Filter", 0)
            + node.get("Rows Removed by Index Recheck", 0)
        )
        for node in nodes(plan)
        if node.get("Relation Name") in LARGE
    )


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_uses_an_index_that_fits_it(
    url: str, database: Database, statements: list[tuple[str, Sequence[Any]]], name: str
) -> None:
    await LISTS[name](database)
    assert statements
    connection = await asyncpg.connect(url)
    try:
        for statement, parameters in statements:
            # The plan for these values, as it runs, and that for all values, which PostgreSQL may take.
            done = await explain(connection, "ANALYZE, TIMING off", statement, parameters)
            assert misfits(done) == [], json.dumps(done, indent=1)
            assert rows_read(done) <= MAX_READ_ROWS, json.dumps(done, indent=1)
            generic = await explain(connection, "GENERIC_PLAN", statement, parameters)
            assert misfits(generic) == [], json.dumps(generic, indent=1)
            assert await read_whole(connection, statement, *parameters) == set()
    finally:
        await connection.close()


async def explain(
    connection: asyncpg.Connection, options: str, statement: str, parameters: Sequence[Any]
) -> dict[str, Any]:
    explained = await connection.fetchval(f"EXPLAIN ({options}, FORMAT JSON) {statement}", *parameters)
    [document] = json.loads(explained)
    plan: dict[str, Any] = document["Plan"]
    return plan


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


def step_of(step: str, generation_id: str) -> str:
    return step.replace("RESULT", RESULT).replace("IMAGES", IMAGES).replace("ID", generation_id)


async def read_whole(connection: asyncpg.Connection, step: str, *parameters: Any) -> set[str]:
    """Run a step; return the large tables that it read from begin to end."""
    async with connection.transaction():
        before = dict(await connection.fetch(SCANS))
        await connection.fetch(step, *parameters)
        after = dict(await connection.fetch(SCANS))
    return {table for table in LARGE if after.get(table, 0) > before.get(table, 0)}


async def test_no_step_reads_a_whole_table(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        found = {
            name: tables
            for steps, first in ((STEPS, 1), (REFUND, 1 + LIVES))
            for number in range(first, first + LIVES)
            for name, step in steps.items()
            if (tables := await read_whole(connection, step_of(step, f"gen_new_{number}")))
        }
        status = await connection.fetch(
            "SELECT status, count(*) FROM generations WHERE id LIKE 'gen_new_%' AND finished_at IS NOT NULL"
            " GROUP BY status ORDER BY status"
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in status] == [("completed", LIVES), ("failed", LIVES)]
    assert found == {}


async def test_the_check_sees_a_whole_table_that_is_read(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        assert await read_whole(connection, "SELECT count(prompt) FROM generations") == {"generations"}
    finally:
        await connection.close()
