"""The record of each submit, committed before a byte leaves for the provider.

The steps that every generation takes are functions of functions/attempts.sql, one round trip each. The rarer
ones lock the same row first, and call the same functions for what both do. The trigger `advance_attempt`
refuses everything that is not in domain/attempt.py.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Double, Row, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.attempt_results import (
    STORE_RESULT,
    STORED_COLUMNS,
    AnyAttemptRow,
    cost_values,
    database_now,
    moderated_at,
    poll_result,
    result_values,
)
from adapters.database.engine import Database
from adapters.database.progress import RECORD_POLL, poll_values
from adapters.database.pushbacks import push_back
from adapters.database.tables import AttemptRow, GenerationRow
from adapters.database.tables.controls import keeps_message
from adapters.database.tables.mapping import (
    OUTCOME,
    is_terminal,
    locked_generation,
    set_stage,
    to_outcome,
    to_request,
    with_generation,
)
from domain.attempt import AttemptState
from domain.errors import (
    ContentRejected,
    GenerationNotFound,
    NotStartedInTime,
    PermanentError,
    ProviderUnavailable,
    ServiceError,
    SubmitUnknown,
)
from domain.generation import Image, Stage
from domain.ports import AttemptRecord, Closure, SubmitPermit
from domain.progress import PollReport
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
_BEGIN = with_generation(
    "begin_submit(:generation, :ordinal)",
    "(generation)",
    result=Text,
    begun_at=DateTime(timezone=True),
    closed_code=Text,
    closed_seconds=Double,
    has_evidence=Boolean,
)
_STORED = text(f"""
    SELECT {STORED_COLUMNS} FROM attempts WHERE generation_id = :generation AND ordinal = :ordinal
""").columns(result=JSONB)  # noqa: S608 - a constant
_ACCEPTED = (
    text(f"""
        SELECT {STORED_COLUMNS}
        FROM record_accepted(:generation, :ordinal, :job, :urls, :cost_amount, :cost_unit)
    """)  # noqa: S608 - a constant
    .bindparams(bindparam("urls", type_=JSONB))
    .columns(result=JSONB)
)
_ADOPT_WEBHOOK = text("SELECT adopt_webhook(:generation, :ordinal)")
_SET_UNKNOWN = text("SELECT set_unknown(:generation, :ordinal)")
# After a Reset in Temporal the workflow continues at the later attempt.
_OTHER_MAY_BE_CHARGED = {"taken_by_later": ProviderUnavailable, "taken_by_earlier": ServiceError}


class PostgresAttempts:
    """At most one accepted submit per attempt, and never two attempts that may both be charged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_submit(self, attempt: AttemptRef) -> SubmitPermit:
        rows = await self._database.call(_BEGIN, _key(attempt))
        if not rows:
            raise GenerationNotFound
        [row] = rows
        if row.result == "submit":
            closure = Closure(row.has_evidence, row.closed_code, row.closed_seconds)
            return SubmitPermit(to_request(row, attempt.ordinal), begun_at=row.begun_at, closure=closure)
        if row.result in _OTHER_MAY_BE_CHARGED:
            code = _OTHER_MAY_BE_CHARGED[row.result].code
            return SubmitPermit(stored=SubmitResult(SubmitState.REJECTED, code=code))
        if row.result == NotStartedInTime.code:
            return SubmitPermit(stored=SubmitResult(SubmitState.REJECTED, code=row.result))
        if row.result == "canceled":
            return SubmitPermit(stored=SubmitResult(SubmitState.CANCELED))
        if row.result == "already_terminal":
            [ended] = await self._database.call(OUTCOME, {"generation": attempt.generation_id})
            return SubmitPermit(stored=_ended(attempt, ended))
        [stored] = await self._database.call(_STORED, _key(attempt))
        return SubmitPermit(stored=_stored_result(stored))

    async def record_accepted(self, attempt: AttemptRef, job: ProviderJob) -> SubmitResult:
        job_values = {"job": job.job_id, "urls": dict(job.urls), **cost_values(job.cost)}
        return _stored_result(await self._call(_ACCEPTED, _key(attempt) | job_values))

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
                return _stored_result(await _store_result(session, attempt, refusal))
            record.state = AttemptState.REJECTED
            record.code, record.moderated_at = error.code, at
            record.provider_message = str(error) if keeps_message(row) else None
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
                return await _end_of(session, attempt)
            if not _is_open(record, begun_at):
                return _stored_result(record)
            record.state = AttemptState.NOT_SENT
            set_stage(row, Stage.THROTTLED)
            return await push_back(session, row, attempt, pushback)

    async def record_unknown(self, attempt: AttemptRef, begun_at: datetime) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if is_terminal(row):
                return await _end_of(session, attempt)
            await _adopt_webhook(session, attempt, record)
            if _is_open(record, begun_at):
                await session.execute(_SET_UNKNOWN, _key(attempt))
                await session.refresh(record)
            return _stored_result(record)

    async def record_lost(self, attempt: AttemptRef, message: str, begun_at: datetime) -> SubmitResult:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            stored: AnyAttemptRow = record
            if _is_open(record, begun_at):
                lost = ProviderResult(JobStatus.FAILED, SubmitUnknown.code, provider_message=message)
                stored = await _store_result(session, attempt, lost)
                if not is_terminal(row):
                    row.needs_attention = SubmitUnknown.code
                    set_stage(row, Stage.SUBMIT_UNKNOWN)
            return await _end_of(session, attempt) if is_terminal(row) else _stored_result(stored)

    async def get_attempt(self, attempt: AttemptRef) -> AttemptRecord:
        async with self._database.begin() as session:
            row, record = await _locked(session, attempt)
            if record.state != AttemptState.NOT_SENT:
                await _adopt_webhook(session, attempt, record)
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

    async def record_poll(self, attempt: AttemptRef, report: PollReport) -> None:
        await self._database.call(RECORD_POLL, poll_values(attempt, report))

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        await self._call(STORE_RESULT, result_values(attempt, result, has_fresh_files=True))

    async def record_sync_result(
        self, attempt: AttemptRef, job_id: str, result: ProviderResult, images: Sequence[Image]
    ) -> bool:
        row = await self._call(STORE_RESULT, result_values(attempt, result, images, job_id=job_id))
        return row.late_at is None

    async def _call(self, statement: Any, values: dict[str, Any]) -> Row[Any]:
        rows = await self._database.call(statement, values)
        if not rows:
            raise GenerationNotFound("no such attempt")
        return rows[0]


def _key(attempt: AttemptRef) -> dict[str, Any]:
    return {"generation": attempt.generation_id, "ordinal": attempt.ordinal}


def _is_open(record: AttemptRow, begun_at: datetime) -> bool:
    """Return whether the end of this try is still to be written.

    Not if a webhook or a poll came first, and not by a try that was overtaken: its activity may live on after
    Temporal has given it up, and repeat what it wrote before another try began.
    """
    return record.state in _UNANSWERED and record.started_at == begun_at


def _stored_result(record: AnyAttemptRow) -> SubmitResult:
    """Return the stored state of an attempt as the result of its submit."""
    state = AttemptState(record.state)
    if state is AttemptState.ACCEPTED or state.is_final:
        return SubmitResult(SubmitState.ACCEPTED, job_id=record.provider_job_id, verdict=poll_result(record))
    if state is AttemptState.REJECTED:
        return SubmitResult(SubmitState.REJECTED, code=record.code, moderated_at=moderated_at(record))
    return SubmitResult(SubmitState.UNKNOWN)


def _ended(attempt: AttemptRef, row: Row[Any]) -> SubmitResult:
    return SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=to_outcome(attempt.generation_id, row))


async def _end_of(session: AsyncSession, attempt: AttemptRef) -> SubmitResult:
    """Return the end of a terminal generation."""
    return _ended(attempt, (await session.execute(OUTCOME, {"generation": attempt.generation_id})).one())


async def _locked(session: AsyncSession, attempt: AttemptRef) -> tuple[GenerationRow, AttemptRow]:
    row = await locked_generation(session, attempt.generation_id)
    record = await session.get(AttemptRow, (attempt.generation_id, attempt.ordinal))
    if record is None:
        raise GenerationNotFound("no such attempt")
    return row, record


async def _store_result(session: AsyncSession, attempt: AttemptRef, result: ProviderResult) -> Row[Any]:
    await session.flush()
    return (await session.execute(STORE_RESULT, result_values(attempt, result))).one()


async def _adopt_webhook(session: AsyncSession, attempt: AttemptRef, record: AttemptRow) -> None:
    """Take the job from a webhook, if one came and the attempt has none."""
    if record.provider_job_id is None and record.state != AttemptState.REJECTED:
        await session.execute(_ADOPT_WEBHOOK, _key(attempt))
        await session.refresh(record)
