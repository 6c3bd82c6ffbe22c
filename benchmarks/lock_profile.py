"""Who waits for which lock in PostgreSQL, by looking often: there is no counter of it.

The time that is waited is counted whole on average; of short waits some are not seen.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

EVERY_SECONDS = 0.02
TIMEOUT_SECONDS = 10.0
# Whoever waits for a row waits for the transaction that has it, and holds or awaits a lock of that row, its
# tuple: that one names the row.
_WAITS = """
SELECT waiting.pid, waiting.waitstart, waiting.locktype, tuple.page, tuple.tuple,
    coalesce(relname, '') AS relation
FROM pg_locks AS waiting
LEFT JOIN LATERAL (
    SELECT relation, page, tuple FROM pg_locks AS held
    WHERE held.pid = waiting.pid AND held.locktype = 'tuple' LIMIT 1
) AS tuple ON true
LEFT JOIN pg_class ON pg_class.oid = coalesce(tuple.relation, waiting.relation)
WHERE NOT waiting.granted
"""


@dataclass
class LockProfile:
    """What was waited for.

    Attributes:
        looks: How often it was looked, and `busy_looks` how often somebody waited.
        seen: Looks at which somebody waited, by the lock's type and table, each waiting one counted.
        waits: Different waits, likewise.
        most_at_a_row: How many waited for the same row at most, by table.
    """

    looks: int = 0
    busy_looks: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    waits: dict[str, set[tuple[int, object]]] = field(default_factory=dict)
    most_at_a_row: Counter[str] = field(default_factory=Counter)

    def note(self, rows: list[asyncpg.Record]) -> None:
        self.looks += 1
        self.busy_looks += bool(rows)
        at_a_row: Counter[tuple[str, int, int]] = Counter()
        for row in rows:
            kind = "row" if row["locktype"] in ("tuple", "transactionid") else str(row["locktype"])
            what = f"{kind} of {row['relation']}" if row["relation"] else kind
            self.seen[what] += 1
            self.waits.setdefault(what, set()).add((row["pid"], row["waitstart"]))
            if row["page"] is not None:
                at_a_row[what, row["page"], row["tuple"]] += 1
        for (what, _, _), waiting in at_a_row.items():
            self.most_at_a_row[what] = max(self.most_at_a_row[what], waiting)

    def waited_ms(self, what: str, seconds: float) -> float:
        """Return for how long was waited in a run of so many seconds, all that waited together."""
        return 1000 * seconds * self.seen[what] / max(1, self.looks)


@asynccontextmanager
async def lock_profile(database_url: str) -> AsyncIterator[LockProfile]:
    """Look at the locks of a database server during the block."""
    profile = LockProfile()
    connection = await asyncpg.connect(database_url, timeout=TIMEOUT_SECONDS)

    async def look() -> None:
        while True:
            profile.note(await connection.fetch(_WAITS, timeout=TIMEOUT_SECONDS))
            await asyncio.sleep(EVERY_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield profile
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await connection.close(timeout=TIMEOUT_SECONDS)
