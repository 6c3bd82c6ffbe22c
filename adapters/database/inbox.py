"""Webhooks, stored before their workflows are signaled."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from adapters.database.attempt_results import store_result, without_content
from adapters.database.engine import Database
from adapters.database.tables import AttemptRow, InboxRow
from adapters.database.tables.mapping import (
    keeps_provider_data,
    locked_generation,
    result_to_json,
    to_request,
)
from domain.errors import GenerationNotFound
from domain.generation import Status
from domain.moderation import ModeratedAt
from domain.ports import WebhookReceipt
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ResultSignal


class PostgresInbox:
    """One row per event of a provider, however often it is delivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_event(self, provider: str, attempt: AttemptRef, event: ProviderEvent) -> WebhookReceipt:
        async with self._database.begin() as session:
            # Locked, or this would overwrite what a poll records at the same moment.
            generation = await locked_generation(session, attempt.generation_id)
            if to_request(generation, attempt.ordinal).provider != provider:
                raise GenerationNotFound
            record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
            # Only about the attempt's own job, if that is known yet.
            result = event.result
            if not keeps_provider_data(generation):
                result = without_content(result)
            is_own_job = record is not None and record.provider_job_id in (None, event.job_id)
            is_believed = is_own_job and not event.result.is_tentative
            row = await session.scalar(
                insert(InboxRow)
                .values(
                    provider=provider,
                    event_id=event.event_id,
                    generation_id=attempt.generation_id,
                    ordinal=attempt.ordinal,
                    provider_job_id=event.job_id,
                    # Another job's id proves nothing: the provider is polled instead.
                    status=event.result.status if is_believed else JobStatus.CHECK,
                    code=event.result.code if is_believed else None,
                    moderated_at=event.result.moderated_at if is_believed else None,
                    does_not_charge=is_believed and event.result.does_not_charge,
                    result=result_to_json(result),
                    late=Status(generation.status).is_terminal,
                )
                .on_conflict_do_nothing(index_elements=["provider", "event_id"])
                .returning(InboxRow)
            )
            if row is not None and record is not None and is_believed and event.result.status.is_final:
                # With the attempt, where its cost is counted.
                await store_result(session, generation, record, event.result)
            if row is None:
                row = await session.scalar(
                    select(InboxRow).where(
                        col(InboxRow.provider) == provider, col(InboxRow.event_id) == event.event_id
                    )
                )
            assert row is not None  # rows are never deleted
            return to_receipt(row)

    async def mark_relayed(self, inbox_id: int) -> None:
        async with self._database.each() as session:
            await session.execute(
                update(InboxRow)
                .where(col(InboxRow.id) == inbox_id, col(InboxRow.relayed_at).is_(None))
                .values(relayed_at=func.now())
            )


def to_receipt(row: InboxRow) -> WebhookReceipt:
    """Return an inbox row as the domain knows it."""
    assert row.id is not None
    at = ModeratedAt(row.moderated_at) if row.moderated_at else None
    signal = ResultSignal(row.id, row.ordinal, row.status, row.code, at, row.does_not_charge)
    return WebhookReceipt(signal, row.generation_id, row.relayed_at is not None)
