"""The record of each submit, committed before a byte leaves for the provider.

Whatever races, the attempt's row is written in the order of domain/attempt.py: a writer that comes too late
changes nothing and returns the stored state. The trigger `advance_attempt` refuses everything else.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.attempt_results import database_now, moderated_at, poll_result, set_cost, store_result
from adapters.database.engine import Database
from adapters.database.pushbacks import push_back
from adapters.database.tables import AttemptRow, GenerationRow, InboxRow
from adapters.database.tables.mapping import (
    is_terminal,
    keeps_provider_data,
    locked_generation,
    outcome_of,
    set_stage,
    to_request,
)
from domain.attempt import AttemptState
from domain.errors import (
    ContentRejected,
    GenerationNotFound,
    PermanentError,
    ProviderUnavailable,
    ServiceError,
    SubmitUnknown,
)
from domain.generation import Image, Stage
from domain.ports import AttemptRecord, SubmitPermit
from domain.provider import (
    AttemptRef,
    JobStatus,
    ProviderJob,
    ProviderResult,
    Pushback,
    SubmitResult,
    SubmitState,
)

_UNANSWERED = (AttemptState.SENDING, AttemptState.UNKNOWN)


class PostgresAttempts:
    """At most one accepted submit per attempt, and never two attempts that may both be charged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_submit(self, attempt: AttemptRef) -> SubmitPermit:
        async with self._database.begin() as session:
            row = await locked_generation(session, attempt.generation_id)
            if is_terminal(row):
                return SubmitPermit(stored=await _ended(session, row))
            record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
            if record is not None:
                # A webhook proves that the provider took it after all, whatever the submit had returned.
                await _adopt_webhook(session, row, record)
                if record.state == AttemptState.SENDING:
                    _set_unknown(row, record)
                if record.state != AttemptState.NOT_SENT:
                    return SubmitPermit(stored=_stored_result(record))
            if row.cancel_requested_at is not None:
                return SubmitPermit(stored=SubmitResult(SubmitState.CANCELED))
            other = await _other_that_may_be_charged(session, attempt)
            if other is not None:
                # After a Reset in Temporal the workflow continues at the later attempt.
                error = ProviderUnavailable if other > attempt.ordinal else ServiceError
                return SubmitPermit(stored=SubmitResult(SubmitState.REJECTED, code=error.code))
            if record is None:
                record = _new_record(row, attempt)
                session.add(record)
            record.state = AttemptState.SENDING
            record.started_at = await database_now(session)
            set_stage(row, Stage.SUBMITTING)
            return SubmitPermit(to_request(row, attempt.ordinal), begun_at=record.started_at)

    async def record_accepted(self, attempt: AttemptRef, job: ProviderJob) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            record.provider_urls = dict(job.urls) if keeps_provider_data(row) else None
            set_cost(record, job.cost)
            await _accept(session, row, record, job.job_id)
            return _stored_result(record)

    async def record_rejected(
        self, attempt: AttemptRef, error: PermanentError, begun_at: datetime
    ) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if not _is_open(record, begun_at):
                return _stored_result(record)
            at = error.at if isinstance(error, ContentRejected) else None
            record.answered_at = await database_now(session)
            if error.may_be_charged:
                refusal = ProviderResult(
                    JobStatus.FAILED, error.code, moderated_at=at, provider_message=str(error)
                )
                await store_result(session, row, record, refusal)
            else:
                record.state = AttemptState.REJECTED
                record.code, record.moderated_at = error.code, at
                record.provider_message = str(error) if keeps_provider_data(row) else None
            return _stored_result(record)

    async def record_not_sent(self, attempt: AttemptRef, begun_at: datetime) -> None:
        async with self._database.begin() as session:
            _, record = await _locked(session, attempt)
            if _is_open(record, begun_at):
                record.state = AttemptState.NOT_SENT

    async def record_pushed_back(
        self, attempt: AttemptRef, pushback: Pushback, begun_at: datetime
    ) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if is_terminal(row):
                return await _ended(session, row)
            if not _is_open(record, begun_at):
                return _stored_result(record)
            record.state = AttemptState.NOT_SENT
            set_stage(row, Stage.THROTTLED)
            return await push_back(session, row, attempt, pushback)

    async def record_unknown(self, attempt: AttemptRef, begun_at: datetime) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if is_terminal(row):
                return await _ended(session, row)
            await _adopt_webhook(session, row, record)
            if _is_open(record, begun_at):
                _set_unknown(row, record)
            return _stored_result(record)

    async def record_lost(self, attempt: AttemptRef, message: str, begun_at: datetime) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if _is_open(record, begun_at):
                lost = ProviderResult(JobStatus.FAILED, SubmitUnknown.code, provider_message=message)
                await store_result(session, row, record, lost)
                if not is_terminal(row):
                    row.needs_attention = SubmitUnknown.code
                    set_stage(row, Stage.SUBMIT_UNKNOWN)
            return await _ended(session, row) if is_terminal(row) else _stored_result(record)

    async def get_attempt(self, attempt: AttemptRef) -> AttemptRecord:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if record.state != AttemptState.NOT_SENT:
                await _adopt_webhook(session, row, record)
            job = None
            if record.provider_job_id is not None:
                job = ProviderJob(record.provider_job_id, record.provider_urls or {})
            request = to_request(row, attempt.ordinal)
            return AttemptRecord(request, job, poll_result(record), begun_at=record.started_at)

    async def record_tentative(self, attempt: AttemptRef) -> float:
        async with self._database.begin() as session:
            _, record = await _locked(session, attempt)
            now = await database_now(session)
            record.tentative_at = record.tentative_at or now
            return (now - record.tentative_at).total_seconds()

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            await store_result(session, row, record, result, has_fresh_files=True)

    async def record_sync_result(
        self, attempt: AttemptRef, job_id: str, result: ProviderResult, images: Sequence[Image]
    ) -> bool:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            await _accept(session, row, record, job_id)
            await store_result(session, row, record, result, images)
            return record.late_at is None


def _is_open(record: AttemptRow, begun_at: datetime) -> bool:
    """Return whether the end of this try is still to be written.

    Not if a webhook or a poll came first, and not by a try that was overtaken: its activity may live on after
    Temporal has given it up, and repeat what it wrote before another try began.
    """
    return record.state in _UNANSWERED and record.started_at == begun_at


def _stored_result(record: AttemptRow) -> SubmitResult:
    """Return the stored state of an attempt as the result of its submit."""
    state = AttemptState(record.state)
    if state is AttemptState.ACCEPTED or state.is_final:
        return SubmitResult(SubmitState.ACCEPTED, job_id=record.provider_job_id, verdict=poll_result(record))
    if state is AttemptState.REJECTED:
        return SubmitResult(SubmitState.REJECTED, code=record.code, moderated_at=moderated_at(record))
    return SubmitResult(SubmitState.UNKNOWN)


async def _ended(session: AsyncSession, row: GenerationRow) -> SubmitResult:
    return SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=await outcome_of(session, row))


def _new_record(row: GenerationRow, attempt: AttemptRef) -> AttemptRow:
    request = to_request(row, attempt.ordinal)
    return AttemptRow(
        generation_id=row.id,
        ordinal=attempt.ordinal,
        provider=request.provider,
        endpoint=request.endpoint,
        state=AttemptState.SENDING,
    )


async def _other_that_may_be_charged(session: AsyncSession, attempt: AttemptRef) -> int | None:
    """Return the ordinal of another attempt that the provider bills, or may."""
    others = await session.scalars(
        select(AttemptRow).where(
            col(AttemptRow.generation_id) == attempt.generation_id,
            col(AttemptRow.ordinal) != attempt.ordinal,
        )
    )
    return next((other.ordinal for other in others if AttemptState(other.state).may_be_charged), None)


async def _locked(session: AsyncSession, attempt: AttemptRef) -> tuple[GenerationRow, AttemptRow]:
    row = await locked_generation(session, attempt.generation_id)
    record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
    if record is None:
        raise GenerationNotFound("no such attempt")
    return row, record


def _set_unknown(row: GenerationRow, record: AttemptRow) -> None:
    record.state = AttemptState.UNKNOWN
    if row.stage == Stage.SUBMITTING:
        set_stage(row, Stage.SUBMIT_UNKNOWN)


async def _accept(session: AsyncSession, row: GenerationRow, record: AttemptRow, job_id: str) -> None:
    """Record the job; a result that has come before it stays."""
    if not AttemptState(record.state).is_final and record.state != AttemptState.REJECTED:
        record.state = AttemptState.ACCEPTED
    record.provider_job_id = job_id
    record.answered_at = await database_now(session)
    if not is_terminal(row) and row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
        set_stage(row, Stage.GENERATING)


async def _adopt_webhook(session: AsyncSession, row: GenerationRow, record: AttemptRow) -> None:
    """Take the job from a webhook: one at this attempt's own address proves that the provider has a job."""
    if record.provider_job_id is not None or record.state == AttemptState.REJECTED:
        return
    job_id = await session.scalar(
        select(col(InboxRow.provider_job_id))
        .where(col(InboxRow.generation_id) == record.generation_id, col(InboxRow.ordinal) == record.ordinal)
        .order_by(col(InboxRow.id))
        .limit(1)
    )
    if job_id is not None:
        await _accept(session, row, record, job_id)
