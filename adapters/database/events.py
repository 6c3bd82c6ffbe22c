"""The log of events in PostgreSQL. Its triggers and functions write it: functions/events.sql."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from adapters.database.engine import Database
from domain.events import Event, EventPosition, EventType
from domain.ports.events import LogTail

_COLUMNS = "transaction_id, id, tenant_id, generation_id, number, type, data, created_at"
# The oldest transaction that is still open, in any database of the server.
_HORIZON = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
_SNAPSHOT = "CAST(pg_current_snapshot() AS text)"
_BEHIND = "(transaction_id, id) > (:transaction, :id)"
# One statement, and so one snapshot: the horizon is that of the rows.
_TAIL = f"""
SELECT {_HORIZON} AS horizon, {_SNAPSHOT} AS snapshot, tail.* FROM (VALUES (1)) AS once LEFT JOIN LATERAL (
    %s
    ORDER BY transaction_id, id LIMIT :limit
) AS tail ON true ORDER BY transaction_id, id
"""  # noqa: S608 - constants
_SETTLED = text(
    _TAIL % f"SELECT {_COLUMNS} FROM events WHERE {_BEHIND} AND transaction_id < {_HORIZON}"  # noqa: S608
).columns(data=JSONB)
# Transactions that were open then, and those that began since. Others are not read, however many there are:
# of two lower bounds an index scan might begin at the lower one, so each part has one.
_NEW = (
    text(
        _TAIL
        % f"""
    SELECT {_COLUMNS} FROM events WHERE transaction_id = ANY (:open) AND {_BEHIND} UNION ALL (
        SELECT {_COLUMNS} FROM events WHERE (transaction_id, id) > (:later_transaction, :later_id)
        ORDER BY transaction_id, id LIMIT :limit
    )"""  # noqa: S608 - constants
    )
    .bindparams(bindparam("open", type_=ARRAY(BigInteger)))
    .columns(data=JSONB)
)
_SELECT_SNAPSHOT = text(f"SELECT {_SNAPSHOT} AS snapshot")
_SELECT_HORIZON = text(f"SELECT {_HORIZON} AS horizon")
_OF_GENERATION = text(f"""
SELECT {_COLUMNS} FROM events
WHERE generation_id = :generation AND number > :after AND tenant_id = :tenant ORDER BY number LIMIT :limit
""").columns(data=JSONB)  # noqa: S608 - a constant
_FOR_OPERATORS = text(f"""
SELECT {_COLUMNS} FROM events WHERE generation_id = :generation ORDER BY number LIMIT :limit
""").columns(data=JSONB)  # noqa: S608 - a constant
_OF_TENANT = text(f"""
SELECT {_COLUMNS} FROM events
WHERE tenant_id = :tenant AND (transaction_id, id) > (:transaction, :id) AND transaction_id < {_HORIZON}
ORDER BY transaction_id, id LIMIT :limit
""").columns(data=JSONB)  # noqa: S608 - constants
_FIND = text(f"""
SELECT {_COLUMNS} FROM events WHERE transaction_id = :transaction AND id = :id AND tenant_id = :tenant
""").columns(data=JSONB)  # noqa: S608 - a constant
_REBASE = text("SELECT rebase_events() AS rebased")
# Charges in events that stand before the cursor now would not be collected; those that were are sent again.
_COLLECT_AGAIN = text("""
UPDATE event_cursors SET transaction_id = 0, event_id = 0 WHERE name = 'usage' AND transaction_id >= 0
""")
_BEGINNING = EventPosition(0, 0)


class PostgresEventLog:
    """Reads events in an order that never changes afterwards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_new(self, seen: str, after: EventPosition, limit: int) -> LogTail:
        _, next_transaction, still_open = seen.split(":")
        later = max(after, EventPosition(int(next_transaction), -1))
        values = {
            "open": [int(transaction) for transaction in still_open.split(",") if transaction],
            "transaction": after.transaction_id,
            "id": after.id,
            "later_transaction": later.transaction_id,
            "later_id": later.id,
            "limit": limit,
        }
        return _tail(await self._database.call(_NEW, values))

    async def read_settled(self, after: EventPosition, limit: int) -> LogTail:
        values = {"transaction": after.transaction_id, "id": after.id, "limit": limit}
        return _tail(await self._database.call(_SETTLED, values))

    async def snapshot(self) -> str:
        [row] = await self._database.call(_SELECT_SNAPSHOT, {})
        return str(row.snapshot)

    async def horizon(self) -> int:
        [row] = await self._database.call(_SELECT_HORIZON, {})
        return int(row.horizon)

    async def list_of_generation(
        self, tenant_id: str, generation_id: str, *, after: int, limit: int
    ) -> Sequence[Event]:
        values = {"tenant": tenant_id, "generation": generation_id, "after": after, "limit": limit}
        return [_event(row) for row in await self._database.call(_OF_GENERATION, values)]

    async def list_of_tenant(
        self, tenant_id: str, *, after: EventPosition | None, limit: int
    ) -> Sequence[Event]:
        start = after or _BEGINNING
        values = {"tenant": tenant_id, "transaction": start.transaction_id, "id": start.id, "limit": limit}
        return [_event(row) for row in await self._database.call(_OF_TENANT, values)]

    async def find_event(self, tenant_id: str, position: EventPosition) -> Event | None:
        values = {"tenant": tenant_id, "transaction": position.transaction_id, "id": position.id}
        rows = await self._database.call(_FIND, values)
        return _event(rows[0]) if rows else None

    async def list_for_operators(self, generation_id: str, limit: int) -> Sequence[Event]:
        """Return the events of any tenant's generation, in their order."""
        rows = await self._database.call(_FOR_OPERATORS, {"generation": generation_id, "limit": limit})
        return [_event(row) for row in rows]

    async def rebase(self) -> int:
        """Put events of another server's dump before new ones; return how many there were.

        Run after a restore, before anything else is written.
        """
        async with self._database.begin() as session:
            rebased = int(await session.scalar(_REBASE) or 0)
            if rebased:
                await session.execute(_COLLECT_AGAIN)
        return rebased


def _tail(rows: Sequence[Row[Any]]) -> LogTail:
    events = [_event(row) for row in rows if row.id is not None]
    return LogTail(events, rows[0].horizon, rows[0].snapshot)


def _event(row: Row[Any]) -> Event:
    return Event(
        position=EventPosition(row.transaction_id, row.id),
        tenant_id=row.tenant_id,
        generation_id=row.generation_id,
        number=row.number,
        type=EventType(row.type),
        data=row.data,
        created_at=row.created_at,
    )
