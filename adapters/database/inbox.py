"""Webhooks, stored before their workflows are signaled: functions/inbox.sql, called by name."""

from typing import Any

from sqlalchemy import Row, bindparam, func, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col

from adapters.database.attempt_results import cost_values
from adapters.database.engine import Database
from adapters.database.tables import InboxRow
from adapters.database.tables.mapping import result_to_json
from domain.errors import GenerationNotFound
from domain.moderation import ModeratedAt
from domain.ports import WebhookReceipt
from domain.provider import AttemptRef, ProviderEvent, ResultSignal

_RECEIVE = text("""
    SELECT id, generation_id, ordinal, status, code, moderated_at, does_not_charge, relayed_at
    FROM receive_event(
        :provider, :generation, :ordinal, :event, :job, :is_tentative, :result, :message, :moderated_at,
        :does_not_charge, :cost_amount, :cost_unit
    )
""").bindparams(bindparam("result", type_=JSONB))
_MARK_RELAYED = (
    update(InboxRow)
    .where(col(InboxRow.id) == bindparam("inbox_id"), col(InboxRow.relayed_at).is_(None))
    .values(relayed_at=func.now())
)


class PostgresInbox:
    """One row per event of a provider, however often it is delivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_event(self, provider: str, attempt: AttemptRef, event: ProviderEvent) -> WebhookReceipt:
        values = {
            "provider": provider,
            "generation": attempt.generation_id,
            "ordinal": attempt.ordinal,
            "event": event.event_id,
            "job": event.job_id,
            "is_tentative": event.result.is_tentative,
            "result": result_to_json(event.result),
            "message": event.result.provider_message,
            "moderated_at": event.result.moderated_at,
            "does_not_charge": event.result.does_not_charge,
            **cost_values(event.result.cost),
        }
        rows = await self._database.call(_RECEIVE, values)
        if not rows:
            raise GenerationNotFound
        return to_receipt(rows[0])

    async def mark_relayed(self, inbox_id: int) -> None:
        await self._database.call(_MARK_RELAYED, {"inbox_id": inbox_id})


def to_receipt(row: InboxRow | Row[Any]) -> WebhookReceipt:
    """Return an inbox row as the domain knows it."""
    assert row.id is not None
    at = ModeratedAt(row.moderated_at) if row.moderated_at else None
    signal = ResultSignal(row.id, row.ordinal, row.status, row.code, at, row.does_not_charge)
    return WebhookReceipt(signal, row.generation_id, row.relayed_at is not None)
