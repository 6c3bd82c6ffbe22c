"""The audit trail, written in the transaction of what it tells of. A trigger keeps it from being changed."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.tables import AuditEventRow
from domain.audit import Actor, AuditAction, AuditEvent

_MAX_EVENTS = 1000


async def record(
    session: AsyncSession,
    actor: Actor,
    action: AuditAction,
    subject: str,
    tenant_id: str | None = None,
    **details: Any,
) -> None:
    """Add an event to the transaction. details: JSON values, without secrets and content."""
    session.add(
        AuditEventRow(
            actor=actor.name,
            action=action,
            subject=subject,
            tenant_id=tenant_id,
            reason=actor.reason,
            details=details,
        )
    )


async def record_alone(
    database: Database, actor: Actor, action: AuditAction, subject: str, **details: Any
) -> None:
    """Record what changes no row, such as a look at a provider, before it is done."""
    async with database.begin() as session:
        await record(session, actor, action, subject, **details)


async def audit_events(database: Database, tenant_id: str | None, limit: int) -> list[AuditEvent]:
    """Return the newest events, of one tenant or of all; at most 1000."""
    query = select(AuditEventRow).order_by(col(AuditEventRow.id).desc()).limit(min(limit, _MAX_EVENTS))
    if tenant_id is not None:
        query = query.where(col(AuditEventRow.tenant_id) == tenant_id)
    async with database.begin() as session:
        return [_event(row) for row in await session.scalars(query)]


def _event(row: AuditEventRow) -> AuditEvent:
    assert row.id is not None
    return AuditEvent(
        row.id, row.at, row.actor, row.action, row.tenant_id, row.subject, row.reason, row.details
    )
