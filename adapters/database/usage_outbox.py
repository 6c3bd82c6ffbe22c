"""The outbox of usage events: filled from the log of events, emptied as a billing system takes them.

Where the log was read to is the cursor `usage` of `event_cursors`; before the first start that is negative.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text

from adapters.database.engine import Database
from domain.ports.usage_events import UsageWork
from domain.usage_events import Charge, UsageBacklog

_HORIZON = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
# A position beyond the horizon is of the server that a dump was made of: see rebase_events.
_PLACE = f"""
    SELECT CASE WHEN transaction_id > {_HORIZON} THEN 0 ELSE transaction_id END AS transaction_id,
        CASE WHEN transaction_id > {_HORIZON} THEN 0 ELSE event_id END AS event_id
    FROM event_cursors WHERE name = 'usage' AND transaction_id >= 0
"""  # noqa: S608 - constants
_UNREAD = """
    SELECT events.* FROM events WHERE (transaction_id, id) > (place.transaction_id, place.event_id)
"""
_IN_ORDER = "ORDER BY transaction_id, id"
_IS_CHARGE = "type = 'credits.settled' AND CAST(data ->> 'amount_credits' AS bigint) > 0"
# Whoever locks the cursor may get it as another has just moved it: beyond the horizon of its own snapshot,
# but never beyond the number of its own transaction.
_LOCKED_PLACE = _PLACE.replace(_HORIZON, "CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
# As in dispatch_events: what one transaction reads can have nothing come before it any more.
_COLLECT = text(f"""
WITH place AS MATERIALIZED ({_LOCKED_PLACE} FOR UPDATE SKIP LOCKED), found AS MATERIALIZED (
    SELECT next.* FROM place CROSS JOIN LATERAL (
        {_UNREAD} AND transaction_id < {_HORIZON} {_IN_ORDER} LIMIT :limit
    ) AS next
), added AS (
    INSERT INTO usage_outbox (transfer_id)
    SELECT data ->> 'transfer_id' FROM found WHERE {_IS_CHARGE} {_IN_ORDER}
    ON CONFLICT (transfer_id) DO NOTHING
), moved AS (
    UPDATE event_cursors SET transaction_id = last.transaction_id, event_id = last.id
    FROM (SELECT transaction_id, id FROM found ORDER BY transaction_id DESC, id DESC LIMIT 1) AS last
    WHERE name = 'usage'
)
SELECT count(*) AS events FROM found
""")  # noqa: S608 - constants
# What is written from now on is behind it, whenever its transaction began.
_START = text(f"""
UPDATE event_cursors SET transaction_id = {_HORIZON} - 1, event_id = 9223372036854775807
WHERE name = 'usage' AND transaction_id < 0
""")  # noqa: S608 - a constant
_MAY_SEND = """
    (holder IS NULL OR holder = :sender OR leased_until < now())
    AND (next_attempt_at IS NULL OR next_attempt_at <= now())
"""
_LOOK = text(f"""
SELECT EXISTS (SELECT FROM ({_PLACE}) AS place CROSS JOIN LATERAL (
        {_UNREAD} AND transaction_id < {_HORIZON} {_IN_ORDER} LIMIT 1
    ) AS next) AS is_collecting_due,
    EXISTS (SELECT FROM usage_senders WHERE name = 'billing' AND {_MAY_SEND})
        AND EXISTS (SELECT FROM usage_outbox) AS is_sending_due
""")  # noqa: S608 - constants
_LEASE = text(f"""
UPDATE usage_senders SET holder = :sender,
    leased_until = now() + make_interval(secs => CAST(:seconds AS float8))
WHERE name = 'billing' AND {_MAY_SEND} RETURNING failures
""")  # noqa: S608 - constants
_UNSENT = text("""
SELECT unsent.id AS position, transfers.id AS transfer_id, transfers.tenant_id, transfers.created_at,
    transfers.amount_credits, generations.id AS generation_id, model, api_key_id,
    coalesce((
        SELECT provider FROM attempts WHERE generation_id = generations.id ORDER BY ordinal DESC LIMIT 1
    ), generations.provider) AS provider,
    CASE status WHEN 'completed' THEN (
        SELECT least(count(*), n) FROM images WHERE generation_id = generations.id
    ) ELSE 0 END AS images,
    coalesce((
        SELECT -sum(remaining_change + held_change) FROM lot_entries JOIN lots ON lots.id = lot_id
        WHERE transfer_id = transfers.id AND category = 'promotional'
    ), 0) AS promotional_credits
FROM (SELECT id, transfer_id FROM usage_outbox ORDER BY id LIMIT :limit) AS unsent
JOIN transfers ON transfers.id = unsent.transfer_id
JOIN generations ON generations.id = transfers.generation_id ORDER BY unsent.id
""")
_MARK_SENT = text("""
WITH sent AS (DELETE FROM usage_outbox WHERE id = ANY (CAST(:positions AS bigint[])))
UPDATE usage_senders SET failures = 0, problem = NULL, next_attempt_at = NULL, last_sent_at = now()
WHERE name = 'billing' AND holder = :sender
""")
_NOTE_FAILURE = text("""
UPDATE usage_senders SET failures = failures + 1, problem = :problem, holder = NULL,
    next_attempt_at = now() + make_interval(secs => CAST(:seconds AS float8))
WHERE name = 'billing' AND holder = :sender
""")
_RELEASE = text("UPDATE usage_senders SET holder = NULL WHERE name = 'billing' AND holder = :sender")
_MAX_COUNTED, _MAX_COLLECTS = 10_000, 20
# Of those that are not collected yet, the first ones: they are few, or no worker runs.
_BACKLOG = text(f"""
WITH place AS ({_PLACE}), unread AS MATERIALIZED (
    SELECT created_at FROM place CROSS JOIN LATERAL ({_UNREAD} {_IN_ORDER} LIMIT 1000) AS next
    WHERE {_IS_CHARGE}
), oldest AS (
    SELECT min(created_at) AS created_at FROM unread UNION ALL (
        SELECT created_at FROM usage_outbox JOIN transfers ON transfers.id = transfer_id
        ORDER BY usage_outbox.id LIMIT 1
    )
)
SELECT (SELECT count(*) FROM unread)
        + (SELECT count(*) FROM (SELECT FROM usage_outbox LIMIT {_MAX_COUNTED}) AS counted) AS unsent,
    coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(created_at) FROM oldest)), 0) AS seconds,
    (SELECT failures FROM usage_senders WHERE name = 'billing') AS failures
""")  # noqa: S608 - constants
# Events from here on may hold charges that are not collected. `created_at` is not quite in the log's order:
# it differs by as long as a transaction lasts, for which an hour is plenty.
UNCOLLECTED_SINCE = f"""
    SELECT next.created_at - interval '1 hour' FROM ({_PLACE}) AS place
    CROSS JOIN LATERAL ({_UNREAD} {_IN_ORDER} LIMIT 1) AS next
"""  # noqa: S608 - constants


class PostgresUsageOutbox:
    """Each step is one statement; those of two processes exclude each other by the row they change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self) -> None:
        await self._database.call(_START, {})

    async def look(self, sender: str) -> UsageWork:
        [row] = await self._database.call(_LOOK, {"sender": sender})
        return UsageWork(row.is_collecting_due, row.is_sending_due)

    async def collect(self, limit: int) -> int:
        [row] = await self._database.call(_COLLECT, {"limit": limit})
        return int(row.events)

    async def collect_all(self, limit: int) -> None:
        """Collect batch after batch, so that events can be purged. Usually a sender has left none."""
        for _ in range(_MAX_COLLECTS):
            if await self.collect(limit) < limit:
                return

    async def lease(self, sender: str, seconds: float) -> int | None:
        rows = await self._database.call(_LEASE, {"sender": sender, "seconds": seconds})
        return int(rows[0].failures) if rows else None

    async def list_unsent(self, limit: int) -> Sequence[Charge]:
        return [_charge(row) for row in await self._database.call(_UNSENT, {"limit": limit})]

    async def mark_sent(self, sender: str, positions: Sequence[int]) -> None:
        await self._database.call(_MARK_SENT, {"sender": sender, "positions": list(positions)})

    async def note_failure(self, sender: str, problem: str, wait_seconds: float) -> None:
        values = {"sender": sender, "problem": problem, "seconds": wait_seconds}
        await self._database.call(_NOTE_FAILURE, values)

    async def release(self, sender: str) -> None:
        await self._database.call(_RELEASE, {"sender": sender})


async def usage_backlog(database: Database) -> UsageBacklog:
    """Return what is not sent yet, as far as it was collected or stands first in the log."""
    [row] = await database.call(_BACKLOG, {})
    return UsageBacklog(min(row.unsent, _MAX_COUNTED), max(0.0, float(row.seconds)), row.failures)


def _charge(row: Row[Any]) -> Charge:
    return Charge(
        position=row.position,
        transfer_id=row.transfer_id,
        tenant_id=row.tenant_id,
        charged_at=row.created_at,
        generation_id=row.generation_id,
        model=row.model,
        provider=row.provider,
        api_key_id=row.api_key_id,
        images=row.images,
        charged_credits=row.amount_credits,
        promotional_credits=int(row.promotional_credits),
    )
