"""What operators do with the outbox of usage events: fill it again, or give it up."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from adapters.database.audit import record
from adapters.database.engine import Database
from domain.audit import Actor, AuditAction
from domain.errors import InvalidInput

_AT_ONCE = 5000
_TENANTS = text("""
SELECT id FROM tenants WHERE id > :after AND (CAST(:only AS text) IS NULL OR id = :only) ORDER BY id LIMIT 1
""")
_CHARGED_AT = text("SELECT created_at FROM transfers WHERE id = :id AND kind = 'settle'")
# By the entries of the account of what was spent: those of a tenant are in the order of its charges.
_ADD = text("""
WITH page AS MATERIALIZED (
    SELECT entries.id, transfer_id FROM entries
    WHERE account_id = :tenant || '\\:spent' AND id > :after ORDER BY id LIMIT :limit
), added AS (
    INSERT INTO usage_outbox (transfer_id)
    SELECT transfer_id FROM page JOIN transfers ON transfers.id = transfer_id
    WHERE kind = 'settle' AND amount_credits > 0 AND created_at >= :since ORDER BY page.id
    ON CONFLICT (transfer_id) DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM page) AS entries, (SELECT max(id) FROM page) AS last,
    (SELECT count(*) FROM added) AS added
""")
_STOP = text("UPDATE event_cursors SET transaction_id = -1, event_id = 0 WHERE name = 'usage'")
_DISCARD = text("""
DELETE FROM usage_outbox WHERE id IN (SELECT id FROM usage_outbox ORDER BY id LIMIT :limit) RETURNING 1
""")


async def resend_usage_events(database: Database, since: str, tenant_id: str | None, *, by: Actor) -> int:
    """Put charges into the outbox again, behind what is there; return how many.

    since: a moment in ISO 8601 (UTC, if it names no zone), or the id of the first event. tenant_id: None for
    all. Safe to repeat. Raises InvalidInput.
    """
    moment = await _moment(database, since)
    async with database.begin() as session:
        details = {"since": moment.isoformat()}
        await record(
            session, by, AuditAction.RESEND_USAGE_EVENTS, tenant_id or "all tenants", tenant_id, **details
        )
    added, after = 0, ""
    while rows := await database.call(_TENANTS, {"after": after, "only": tenant_id}):
        after = rows[0].id
        added += await _add_all(database, after, moment)
    return added


async def stop_usage_events(database: Database, *, by: Actor) -> int:
    """Collect no charges until a worker starts with a billing system; return how many were given up."""
    async with database.begin() as session:
        await record(session, by, AuditAction.STOP_USAGE_EVENTS, "usage events")
        await session.execute(_STOP)
    discarded = 0
    while rows := await database.call(_DISCARD, {"limit": _AT_ONCE}):
        discarded += len(rows)
    return discarded


async def _add_all(database: Database, tenant_id: str, since: datetime) -> int:
    added = 0
    values: dict[str, Any] = {"tenant": tenant_id, "since": since, "limit": _AT_ONCE, "after": 0}
    while True:
        [row] = await database.call(_ADD, values)
        added += int(row.added)
        if row.entries < _AT_ONCE:
            return added
        values["after"] = row.last


async def _moment(database: Database, since: str) -> datetime:
    if rows := await database.call(_CHARGED_AT, {"id": since}):
        moment: datetime = rows[0].created_at
        return moment
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        wanted = "a moment such as 2026-01-31T00:00:00Z, or the id of an event"
        raise InvalidInput(errors=(("from", wanted),)) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
