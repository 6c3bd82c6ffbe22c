"""The record of each submit, committed before a byte leaves for the provider."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.mapping import is_terminal, locked_generation, move_to, outcome_of, to_json, to_request
from adapters.database.tables import AttemptRow, GenerationRow, InboxRow
from domain.errors import (
    ContentRejected,
    GenerationNotFound,
    PermanentError,
    ProviderUnavailable,
    ServiceError,
)
from domain.generation import GenerationRequest, Image, Stage
from domain.moderation import ModeratedAt
from domain.ports import AttemptRecord
from domain.provider import (
    AttemptRef,
    JobStatus,
    PollResult,
    ProviderCost,
    ProviderJob,
    ProviderResult,
    SubmitResult,
    SubmitState,
)


class PostgresAttempts:
    """At most one accepted submit per attempt, whatever is re-run, and never two that may both be charged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, attempt: AttemptRef) -> SubmitResult | GenerationRequest:
        async with self._database.begin() as session:
            row = await locked_generation(session, attempt.generation_id)
            if is_terminal(row):
                return SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=await outcome_of(session, row))
            record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
            # A webhook proves that the provider took it after all, whatever it had answered.
            if record is not None and (
                record.state != "not_sent" or await _adopt_webhook(session, row, record)
            ):
                return await _begun_before(session, row, record)
            if row.cancel_requested_at is not None:
                return SubmitResult(SubmitState.CANCELED)
            other = await _another_that_may_be_charged(session, attempt)
            if other is not None:
                # After a Reset in Temporal the story goes on where it went before: at the later attempt.
                error = ProviderUnavailable if other > attempt.ordinal else ServiceError
                return SubmitResult(SubmitState.REJECTED, code=error.code)
            if record is None:
                record = _new_record(row, attempt)
                session.add(record)
            record.state = "sending"
            record.started_at = await _now(session)
            move_to(row, Stage.SUBMITTING)
            return to_request(row, attempt.ordinal)

    async def accepted(self, attempt: AttemptRef, job: ProviderJob) -> None:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            record.provider_urls = dict(job.urls)
            _note_cost(record, job.cost)
            await _accept(session, row, record, job.job_id)

    async def rejected(self, attempt: AttemptRef, error: PermanentError) -> None:
        async with self._database.begin() as session:
            _, record = await _locked(session, attempt)
            record.state, record.code, record.provider_message = "rejected", error.code, str(error)
            record.moderated_at = error.at if isinstance(error, ContentRejected) else None
            record.is_free = True
            record.answered_at = await _now(session)

    async def not_sent(self, attempt: AttemptRef) -> None:
        async with self._database.begin() as session:
            _, record = await _locked(session, attempt)
            record.state = "not_sent"

    async def unknown(self, attempt: AttemptRef) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if is_terminal(row):
                return SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=await outcome_of(session, row))
            return await _unknown(session, row, record)

    async def job(self, attempt: AttemptRef) -> AttemptRecord:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if record.state == "sending":
                await _adopt_webhook(session, row, record)
            job = None
            if record.provider_job_id is not None:
                job = ProviderJob(record.provider_job_id, record.provider_urls or {})
            return AttemptRecord(to_request(row, attempt.ordinal), job, _verdict(record))

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            await note_result(session, row, record, result)

    async def answered(
        self, attempt: AttemptRef, job_id: str, result: ProviderResult, images: Sequence[Image]
    ) -> bool:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            await _accept(session, row, record, job_id)
            await note_result(session, row, record, result, images)
            return record.late_at is None


async def note_result(
    session: AsyncSession,
    row: GenerationRow,
    record: AttemptRow,
    result: ProviderResult,
    images: Sequence[Image] = (),
) -> None:
    """What the provider said in the end and what it cost, also where nobody waits for it any more."""
    is_news = record.result is None or (record.is_free and not _is_free(result))
    record.result, record.code = to_json(result, images), result.code
    record.provider_message, record.moderated_at = result.provider_message, result.moderated_at
    record.is_free = _is_free(result)
    _note_cost(record, result.cost)
    if is_news:
        await _note_lateness(session, row, record)


async def note_webhook(
    session: AsyncSession, row: GenerationRow, record: AttemptRow, result: ProviderResult
) -> None:
    """What has been noted before stands, but for this: what was free may turn out to be charged."""
    if record.result is None:
        await note_result(session, row, record, result)
    elif record.is_free and not _is_free(result):
        record.is_free = False
        _note_cost(record, result.cost)
        await _note_lateness(session, row, record)


def _is_free(result: ProviderResult) -> bool:
    return result.verdict is JobStatus.FAILED and result.is_free


async def _note_lateness(session: AsyncSession, row: GenerationRow, record: AttemptRow) -> None:
    """Of the first word on how an attempt ended. One that is repeated after the ending is not late."""
    if is_terminal(row) or await _is_superseded(session, record):
        record.late_at = await _now(session)


def _note_cost(record: AttemptRow, cost: ProviderCost | None) -> None:
    if cost is not None:
        record.cost_amount, record.cost_unit = cost.amount, cost.unit


def _verdict(record: AttemptRow) -> PollResult | None:
    if record.result is None:
        return None
    at = ModeratedAt(record.moderated_at) if record.moderated_at else None
    return PollResult(
        JobStatus(record.result["verdict"]), record.code, moderated_at=at, is_free=bool(record.is_free)
    )


def _new_record(row: GenerationRow, attempt: AttemptRef) -> AttemptRow:
    request = to_request(row, attempt.ordinal)
    return AttemptRow(
        generation_id=row.id,
        ordinal=attempt.ordinal,
        provider=request.provider,
        endpoint=request.endpoint,
        state="sending",
    )


async def _begun_before(session: AsyncSession, row: GenerationRow, record: AttemptRow) -> SubmitResult:
    """The answer to a submit that is run again."""
    if record.state == "accepted":
        return SubmitResult(SubmitState.ACCEPTED, job_id=record.provider_job_id, verdict=_verdict(record))
    if record.state == "rejected":
        at = ModeratedAt(record.moderated_at) if record.moderated_at else None
        return SubmitResult(SubmitState.REJECTED, code=record.code, moderated_at=at)
    return await _unknown(session, row, record)


async def _another_that_may_be_charged(session: AsyncSession, attempt: AttemptRef) -> int | None:
    """The ordinal of another attempt that was sent, or may have been, and did not end free of charge.

    A webhook shows that an attempt was sent, whatever the answer to its submit was.
    """
    others = await session.scalars(
        select(AttemptRow).where(
            col(AttemptRow.generation_id) == attempt.generation_id,
            col(AttemptRow.ordinal) != attempt.ordinal,
        )
    )
    for other in others:
        if (other.state in ("sending", "accepted") or other.result is not None) and not other.is_free:
            return other.ordinal
    return None


async def _is_superseded(session: AsyncSession, record: AttemptRow) -> bool:
    """Whether the generation went on to another attempt after this one was begun.

    The ordinal does not tell: after a Reset in Temporal the first may be begun again after the second.
    """
    later = select(col(AttemptRow.ordinal)).where(
        col(AttemptRow.generation_id) == record.generation_id,
        col(AttemptRow.started_at) > record.started_at,
    )
    return await session.scalar(later.limit(1)) is not None


async def _now(session: AsyncSession) -> datetime:
    """The database's clock, not the start of the transaction, which may have waited for its lock."""
    now = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(now, datetime)
    return now


async def _locked(session: AsyncSession, attempt: AttemptRef) -> tuple[GenerationRow, AttemptRow]:
    row = await locked_generation(session, attempt.generation_id)
    record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
    if record is None:
        raise GenerationNotFound("no such attempt")
    return row, record


async def _unknown(session: AsyncSession, row: GenerationRow, record: AttemptRow) -> SubmitResult:
    """Settle for not knowing, unless a webhook has named the job meanwhile."""
    if await _adopt_webhook(session, row, record):
        return SubmitResult(SubmitState.ACCEPTED, job_id=record.provider_job_id)
    if row.stage == Stage.SUBMITTING:
        move_to(row, Stage.SUBMIT_UNKNOWN)
    return SubmitResult(SubmitState.UNKNOWN)


async def _accept(session: AsyncSession, row: GenerationRow, record: AttemptRow, job_id: str) -> None:
    record.state, record.provider_job_id = "accepted", job_id
    record.answered_at = await _now(session)
    if not is_terminal(row) and row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
        move_to(row, Stage.GENERATING)


async def _adopt_webhook(session: AsyncSession, row: GenerationRow, record: AttemptRow) -> bool:
    """A webhook that came through this attempt's own address proves that the submit was accepted."""
    job_id = await session.scalar(
        select(col(InboxRow.provider_job_id))
        .where(col(InboxRow.generation_id) == record.generation_id, col(InboxRow.ordinal) == record.ordinal)
        .order_by(col(InboxRow.id))
        .limit(1)
    )
    if job_id is None:
        return False
    await _accept(session, row, record, job_id)
    return True
