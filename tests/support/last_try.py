"""Attempts for tests that have one try at a time: what is recorded is about the last one."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlmodel import col

from adapters.database.attempts import PostgresAttempts
from adapters.database.tables import AttemptRow
from domain.errors import PermanentError
from domain.provider import AttemptRef, Pushback, SubmitResult


class LastTryAttempts(PostgresAttempts):
    """PostgresAttempts without the need to name the try."""

    async def record_rejected(
        self, attempt: AttemptRef, error: PermanentError, begun_at: datetime | None = None
    ) -> SubmitResult:
        return await super().record_rejected(attempt, error, begun_at or await self._last(attempt))

    async def record_not_sent(self, attempt: AttemptRef, begun_at: datetime | None = None) -> None:
        await super().record_not_sent(attempt, begun_at or await self._last(attempt))

    async def record_pushed_back(
        self, attempt: AttemptRef, pushback: Pushback, begun_at: datetime | None = None
    ) -> SubmitResult:
        return await super().record_pushed_back(attempt, pushback, begun_at or await self._last(attempt))

    async def record_unknown(self, attempt: AttemptRef, begun_at: datetime | None = None) -> SubmitResult:
        return await super().record_unknown(attempt, begun_at or await self._last(attempt))

    async def record_lost(
        self, attempt: AttemptRef, message: str, begun_at: datetime | None = None
    ) -> SubmitResult:
        return await super().record_lost(attempt, message, begun_at or await self._last(attempt))

    async def _last(self, attempt: AttemptRef) -> datetime:
        query = select(col(AttemptRow.started_at)).where(
            col(AttemptRow.generation_id) == attempt.generation_id, col(AttemptRow.ordinal) == attempt.ordinal
        )
        async with self._database.begin() as session:
            return await session.scalar(query) or datetime.now(UTC)
