"""How statements read their tables: by PostgreSQL's own counters, so also those inside functions.

A statement whose plan does not fit shows as a table that is read whole, or as rows that an index returned and
that nobody needed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

TIMEOUT_SECONDS = 60.0
# A process of the server that is idle reports what it has counted after ten seconds at the latest.
REPORTED_AFTER_SECONDS = 11.0
# A smaller table is rightly read whole.
LARGE_ROWS = 10_000
_COUNTED = """
SELECT relname, seq_scan, seq_tup_read, coalesce(idx_tup_fetch, 0) AS idx_tup_fetch,
    (SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = relid) AS rows
FROM pg_stat_user_tables
"""


@dataclass(frozen=True)
class TableReads:
    """Of one table: how often it was read whole, and how many rows were read in all."""

    rows: int
    whole: int
    read: int

    @property
    def is_large(self) -> bool:
        return self.rows >= LARGE_ROWS


async def table_reads(database_url: str) -> dict[str, TableReads]:
    """Return the counts so far, by table, of all that has happened until now."""
    await asyncio.sleep(REPORTED_AFTER_SECONDS)
    connection = await asyncpg.connect(database_url, timeout=TIMEOUT_SECONDS)
    try:
        found = await connection.fetch(_COUNTED, timeout=TIMEOUT_SECONDS)
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)
    return {
        row["relname"]: TableReads(
            int(row["rows"]), row["seq_scan"], row["seq_tup_read"] + row["idx_tup_fetch"]
        )
        for row in found
    }


def between(before: Mapping[str, TableReads], after: Mapping[str, TableReads]) -> dict[str, TableReads]:
    """Return what was read between two counts."""
    none = TableReads(0, 0, 0)
    return {
        name: TableReads(now.rows, now.whole - then.whole, now.read - then.read)
        for name, now in after.items()
        for then in (before.get(name, none),)
    }
