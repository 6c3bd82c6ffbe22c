"""How an attempt ended, as its row keeps it: reported by a poll, a webhook or a synchronous response."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.tables import AttemptRow, GenerationRow
from adapters.database.tables.mapping import is_terminal, keeps_provider_data, result_to_json
from domain.attempt import AttemptState
from domain.generation import Image
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, PollResult, ProviderCost, ProviderResult


async def store_result(
    session: AsyncSession,
    row: GenerationRow,
    record: AttemptRow,
    result: ProviderResult,
    images: Sequence[Image] = (),
    *,
    has_fresh_files: bool = False,
) -> None:
    """Store what a poll, a webhook or a response reports, unless an end is stored: the first report stands.

    It never raises for what is stored. A later one is kept where it says more: that what took nothing, or was
    free of charge, is charged after all; what it cost; with `has_fresh_files`, new addresses of a success.
    """
    if not keeps_provider_data(row):
        result = without_content(result)
    state = _state_after(result)
    old = AttemptState(record.state)
    if old is state is AttemptState.SUCCEEDED:
        if has_fresh_files:
            record.result = result_to_json(result, images)
            set_cost(record, result.cost)
    elif not old.is_final and old is not AttemptState.REJECTED:
        record.state, record.result, record.code = state, result_to_json(result, images), result.code
        record.provider_message, record.moderated_at = result.provider_message, result.moderated_at
        set_cost(record, result.cost)
        await _set_late(session, row, record)
    elif old.may_be_charged or (result.status is JobStatus.FAILED and result.does_not_charge):
        if record.cost_amount is None:
            set_cost(record, result.cost)
        if state is AttemptState.SUCCEEDED:  # of a call that was given up, or a job that had failed
            record.late_at = await database_now(session)
    else:
        record.state = AttemptState.FAILED
        record.result = record.result or result_to_json(ProviderResult(JobStatus.FAILED, code=record.code))
        set_cost(record, result.cost)
        record.late_at = await database_now(session)


def without_content(result: ProviderResult) -> ProviderResult:
    """Return what is kept of a late report on an erased generation: how it ended, and its cost."""
    return replace(result, files=(), provider_message=None)


def _state_after(result: ProviderResult) -> AttemptState:
    if result.status is JobStatus.SUCCEEDED:
        return AttemptState.SUCCEEDED
    return AttemptState.FAILED_UNCHARGED if result.does_not_charge else AttemptState.FAILED


async def _set_late(session: AsyncSession, row: GenerationRow, record: AttemptRow) -> None:
    """Mark the first report of how an attempt ended as late, if nothing waits for it any more."""
    if is_terminal(row) or await _is_superseded(session, record):
        record.late_at = await database_now(session)


def set_cost(record: AttemptRow, cost: ProviderCost | None) -> None:
    if cost is not None:
        record.cost_amount, record.cost_unit = cost.amount, cost.unit


def poll_result(record: AttemptRow) -> PollResult | None:
    if record.result is None:
        return None
    return PollResult(
        JobStatus(record.result["status"]),
        record.code,
        moderated_at=moderated_at(record),
        is_free=AttemptState(record.state).does_not_charge,
    )


def moderated_at(record: AttemptRow) -> ModeratedAt | None:
    return ModeratedAt(record.moderated_at) if record.moderated_at else None


async def _is_superseded(session: AsyncSession, record: AttemptRow) -> bool:
    """Return whether the generation went on to another attempt after this one was begun.

    The ordinal does not show it: after a Reset in Temporal the first may be begun again after the second.
    """
    later = select(col(AttemptRow.ordinal)).where(
        col(AttemptRow.generation_id) == record.generation_id,
        col(AttemptRow.started_at) > record.started_at,
    )
    return await session.scalar(later.limit(1)) is not None


async def database_now(session: AsyncSession) -> datetime:
    """Return the database's clock, not the start of the transaction, which may have waited for its lock."""
    now = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(now, datetime)
    return now
