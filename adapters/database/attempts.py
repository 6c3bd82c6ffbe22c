"""The record of each submit, committed before a byte leaves for the provider."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.results import to_json
from adapters.database.rows import is_terminal, locked_generation, move_to, outcome_of, to_request
from adapters.database.tables import AttemptRow, GenerationRow, InboxRow
from domain.errors import GenerationNotFound
from domain.generation import GenerationRequest, Stage
from domain.provider import AttemptRef, ProviderJob, ProviderResult, SubmitAnswer, SubmitState


class PostgresAttempts:
    """At most one accepted submit per attempt, whatever is re-run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, attempt: AttemptRef) -> SubmitAnswer | GenerationRequest:
        async with self._database.begin() as session:
            row = await locked_generation(session, attempt.generation_id)
            if is_terminal(row):
                return SubmitAnswer(SubmitState.ALREADY_TERMINAL, outcome=await outcome_of(session, row))
            record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
            if record is not None and record.state == "accepted":
                return SubmitAnswer(SubmitState.ACCEPTED, job_id=record.provider_job_id)
            if record is not None and record.state == "rejected":
                return SubmitAnswer(SubmitState.REJECTED, code=record.code)
            if record is not None and record.state == "sending":
                return await _unknown(session, row, record)
            if row.cancel_requested_at is not None:
                return SubmitAnswer(SubmitState.CANCELED)
            if record is None:
                record = _new_record(row, attempt)
                session.add(record)
            record.state = "sending"
            move_to(row, Stage.SUBMITTING)
            return to_request(row)

    async def accepted(self, attempt: AttemptRef, job: ProviderJob) -> None:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            record.state, record.provider_job_id = "accepted", job.job_id
            record.provider_urls = dict(job.urls)
            record.answered_at = await session.scalar(select(func.now()))
            if not is_terminal(row) and row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
                move_to(row, Stage.GENERATING)

    async def rejected(self, attempt: AttemptRef, code: str, provider_message: str) -> None:
        async with self._database.begin() as session:
            _, record = await _locked(session, attempt)
            record.state, record.code, record.provider_message = "rejected", code, provider_message
            record.answered_at = await session.scalar(select(func.now()))

    async def not_sent(self, attempt: AttemptRef) -> None:
        async with self._database.begin() as session:
            _, record = await _locked(session, attempt)
            record.state = "not_sent"

    async def unknown(self, attempt: AttemptRef) -> SubmitAnswer:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if is_terminal(row):
                return SubmitAnswer(SubmitState.ALREADY_TERMINAL, outcome=await outcome_of(session, row))
            return await _unknown(session, row, record)

    async def job(self, attempt: AttemptRef) -> tuple[GenerationRequest, ProviderJob | None]:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if record.state == "sending":
                await _adopt_webhook(session, row, record)
            if record.provider_job_id is None:
                return to_request(row), None
            return to_request(row), ProviderJob(record.provider_job_id, record.provider_urls or {})

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        async with self._database.begin() as session:
            _, record = await _locked(session, attempt)
            record.result, record.code = to_json(result), result.code
            record.provider_message = result.provider_message
            record.billable_units = result.billable_units


def _new_record(row: GenerationRow, attempt: AttemptRef) -> AttemptRow:
    return AttemptRow(
        generation_id=row.id,
        ordinal=attempt.ordinal,
        provider=row.provider,
        endpoint=row.endpoint,
        state="sending",
    )


async def _locked(session: AsyncSession, attempt: AttemptRef) -> tuple[GenerationRow, AttemptRow]:
    row = await locked_generation(session, attempt.generation_id)
    record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
    if record is None:
        raise GenerationNotFound("no such attempt")
    return row, record


async def _unknown(session: AsyncSession, row: GenerationRow, record: AttemptRow) -> SubmitAnswer:
    """Settle for not knowing, unless a webhook has named the job meanwhile."""
    if await _adopt_webhook(session, row, record):
        return SubmitAnswer(SubmitState.ACCEPTED, job_id=record.provider_job_id)
    if row.stage == Stage.SUBMITTING:
        move_to(row, Stage.SUBMIT_UNKNOWN)
    return SubmitAnswer(SubmitState.UNKNOWN)


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
    record.state, record.provider_job_id = "accepted", job_id
    record.answered_at = await session.scalar(select(func.now()))
    if not is_terminal(row) and row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
        move_to(row, Stage.GENERATING)
    return True
