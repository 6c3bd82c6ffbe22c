"""Submits in memory, which pass the same suite as those in PostgreSQL."""

from domain.errors import GenerationNotFound
from domain.generation import GenerationRequest, Stage
from domain.provider import AttemptRef, ProviderJob, ProviderResult, SubmitAnswer, SubmitState
from tests.support.memory_books import MemoryBooks, Record, Row


class MemoryAttempts:
    """The Attempts port."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def begin(self, attempt: AttemptRef) -> SubmitAnswer | GenerationRequest:
        row = self._books.row(attempt.generation_id)
        record = row.records.get(attempt.ordinal)
        if row.status.is_terminal:
            return SubmitAnswer(SubmitState.ALREADY_TERMINAL, outcome=row.outcome())
        if record is not None and record.state == "accepted":
            assert record.job is not None
            return SubmitAnswer(SubmitState.ACCEPTED, job_id=record.job.job_id)
        if record is not None and record.state == "rejected":
            return SubmitAnswer(SubmitState.REJECTED, code=record.code)
        if record is not None and record.state == "sending":
            return self._unknown(row, attempt)
        if row.cancel_requested:
            return SubmitAnswer(SubmitState.CANCELED)
        sends = record.sends + 1 if record is not None else 1
        row.records[attempt.ordinal] = Record(sends=sends)
        row.enter(Stage.SUBMITTING)
        return row.request

    async def accepted(self, attempt: AttemptRef, job: ProviderJob) -> None:
        self._accept(*self._record(attempt), job)

    async def rejected(self, attempt: AttemptRef, code: str, provider_message: str) -> None:
        _, record = self._record(attempt)
        record.state, record.code = "rejected", code

    async def not_sent(self, attempt: AttemptRef) -> None:
        self._record(attempt)[1].state = "not_sent"

    async def unknown(self, attempt: AttemptRef) -> SubmitAnswer:
        row, _ = self._record(attempt)
        if row.status.is_terminal:
            return SubmitAnswer(SubmitState.ALREADY_TERMINAL, outcome=row.outcome())
        return self._unknown(row, attempt)

    async def job(self, attempt: AttemptRef) -> tuple[GenerationRequest, ProviderJob | None]:
        row, record = self._record(attempt)
        if record.state == "sending":
            self._adopt(row, attempt)
        return row.request, record.job

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        self._record(attempt)[1].result = result

    def _record(self, attempt: AttemptRef) -> tuple[Row, Record]:
        row = self._books.row(attempt.generation_id)
        if attempt.ordinal not in row.records:
            raise GenerationNotFound("no such attempt")
        return row, row.records[attempt.ordinal]

    def _unknown(self, row: Row, attempt: AttemptRef) -> SubmitAnswer:
        job = self._adopt(row, attempt)
        if job is not None:
            return SubmitAnswer(SubmitState.ACCEPTED, job_id=job.job_id)
        if row.stage is Stage.SUBMITTING:
            row.enter(Stage.SUBMIT_UNKNOWN)
        return SubmitAnswer(SubmitState.UNKNOWN)

    def _adopt(self, row: Row, attempt: AttemptRef) -> ProviderJob | None:
        """The job that a webhook has named, if one has."""
        kept = self._books.kept(attempt)
        if not kept:
            return None
        job = ProviderJob(kept[0].event.job_id, {})
        self._accept(row, row.records[attempt.ordinal], job)
        return job

    def _accept(self, row: Row, record: Record, job: ProviderJob) -> None:
        record.state, record.job = "accepted", job
        if row.stage in (Stage.SUBMITTING, Stage.SUBMIT_UNKNOWN):
            row.enter(Stage.GENERATING)
