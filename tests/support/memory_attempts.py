"""Submits in memory, which pass the same suite as those in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace

from domain.errors import (
    ContentRejected,
    GenerationNotFound,
    PermanentError,
    ProviderUnavailable,
    ServiceError,
)
from domain.generation import GenerationRequest, Image, Stage
from domain.ports import AttemptRecord
from domain.provider import (
    AttemptRef,
    PollResult,
    ProviderJob,
    ProviderResult,
    SubmitResult,
    SubmitState,
)
from tests.support.memory_books import MemoryBooks, Record, Row


class MemoryAttempts:
    """The Attempts port."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def begin(self, attempt: AttemptRef) -> SubmitResult | GenerationRequest:
        row = self._books.row(attempt.generation_id)
        record = row.records.get(attempt.ordinal)
        if row.status.is_terminal:
            return SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=row.outcome())
        if record is not None and (record.state != "not_sent" or self._adopt(row, attempt) is not None):
            return self._begun_before(row, attempt, record)
        if row.cancel_requested:
            return SubmitResult(SubmitState.CANCELED)
        for ordinal, other in row.records.items():
            if ordinal != attempt.ordinal and _may_be_charged(other):
                error = ProviderUnavailable if ordinal > attempt.ordinal else ServiceError
                return SubmitResult(SubmitState.REJECTED, code=error.code)
        record = row.records.setdefault(attempt.ordinal, Record())
        record.state, record.sends = "sending", record.sends + 1
        row.begun.append(attempt.ordinal)
        row.enter(Stage.SUBMITTING)
        return row.asked_of(attempt.ordinal)

    async def accepted(self, attempt: AttemptRef, job: ProviderJob) -> None:
        self._accept(*self._record(attempt), job)

    async def rejected(self, attempt: AttemptRef, error: PermanentError) -> None:
        _, record = self._record(attempt)
        record.state, record.code, record.is_free = "rejected", error.code, True
        record.moderated_at = error.at if isinstance(error, ContentRejected) else None

    async def not_sent(self, attempt: AttemptRef) -> None:
        self._record(attempt)[1].state = "not_sent"

    async def unknown(self, attempt: AttemptRef) -> SubmitResult:
        row, _ = self._record(attempt)
        if row.status.is_terminal:
            return SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=row.outcome())
        return self._unknown(row, attempt)

    async def job(self, attempt: AttemptRef) -> AttemptRecord:
        row, record = self._record(attempt)
        if record.state == "sending":
            self._adopt(row, attempt)
        return AttemptRecord(row.asked_of(attempt.ordinal), record.job, _verdict(record))

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        row, _ = self._record(attempt)
        row.note(attempt.ordinal, result)

    async def answered(
        self, attempt: AttemptRef, job_id: str, result: ProviderResult, images: Sequence[Image]
    ) -> bool:
        row, record = self._record(attempt)
        self._accept(row, record, ProviderJob(job_id, {}))
        row.note(attempt.ordinal, result, images)
        return not record.is_late

    def _begun_before(self, row: Row, attempt: AttemptRef, record: Record) -> SubmitResult:
        if record.state == "accepted":
            assert record.job is not None
            verdict = _verdict(record)
            return SubmitResult(SubmitState.ACCEPTED, job_id=record.job.job_id, verdict=verdict)
        if record.state == "rejected":
            return SubmitResult(SubmitState.REJECTED, code=record.code, moderated_at=record.moderated_at)
        return self._unknown(row, attempt)

    def _record(self, attempt: AttemptRef) -> tuple[Row, Record]:
        row = self._books.row(attempt.generation_id)
        if attempt.ordinal not in row.records:
            raise GenerationNotFound("no such attempt")
        return row, row.records[attempt.ordinal]

    def _unknown(self, row: Row, attempt: AttemptRef) -> SubmitResult:
        job = self._adopt(row, attempt)
        if job is not None:
            return SubmitResult(SubmitState.ACCEPTED, job_id=job.job_id)
        if row.stage is Stage.SUBMITTING:
            row.enter(Stage.SUBMIT_UNKNOWN)
        return SubmitResult(SubmitState.UNKNOWN)

    def _adopt(self, row: Row, attempt: AttemptRef) -> ProviderJob | None:
        """The job that a webhook has named, if one has."""
        kept = self._books.kept(attempt)
        if not kept:
            return None
        job = ProviderJob(kept[0].event.job_id, {})
        self._accept(row, row.records[attempt.ordinal], job)
        return job

    def _accept(self, row: Row, record: Record, job: ProviderJob) -> None:
        record.state, record.job, record.cost = "accepted", replace(job, cost=None), job.cost or record.cost
        if row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
            row.enter(Stage.GENERATING)


def _may_be_charged(record: Record) -> bool:
    sent = record.state in ("sending", "accepted") or record.result is not None
    return sent and not record.is_free


def _verdict(record: Record) -> PollResult | None:
    if record.result is None:
        return None
    return PollResult(
        record.result.status, record.code, moderated_at=record.moderated_at, is_free=record.is_free
    )
