"""Stored images in memory, which pass the same suite as those in PostgreSQL."""

from collections.abc import Sequence

from domain.generation import Generation, Image, Outcome, Stage, Undelivered
from domain.ports import Storing
from domain.provider import AttemptRef, JobStatus, ProviderResult
from tests.support.memory_books import MemoryBooks


class MemoryAssets:
    """The Assets port."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def begin_storing(self, attempt: AttemptRef, inbox_id: int | None) -> Storing | Outcome | None:
        row = self._books.row(attempt.generation_id)
        if row.status.is_terminal:
            return row.outcome()
        if row.stage not in (Stage.STORING, Stage.SETTLING):
            if row.cancel_requested:
                return None
            row.enter(Stage.STORING)
        result, images = self._result(attempt, inbox_id)
        return Storing(
            generation=row.generation(),
            provider=row.asked_of(attempt.ordinal).provider,
            files=result.files if result is not None else (),
            delivered=images,
            undelivered=result.undelivered if result is not None else (),
            recorded=row.images,
        )

    async def expect_objects(self, generation_id: str) -> Generation | None:
        row = self._books.row(generation_id)
        if row.status.is_terminal:
            return None
        row.expects_objects = True
        return row.generation()

    async def finish_storing(
        self, generation_id: str, images: Sequence[Image], undelivered: Sequence[Undelivered] = ()
    ) -> bool:
        row = self._books.row(generation_id)
        if row.images:
            return True
        if row.status.is_terminal:
            return False
        row.images, row.undelivered = tuple(images), tuple(undelivered)
        row.enter(Stage.SETTLING)
        return True

    def _result(
        self, attempt: AttemptRef, inbox_id: int | None
    ) -> tuple[ProviderResult | None, tuple[Image, ...]]:
        record = self._books.row(attempt.generation_id).records.get(attempt.ordinal)
        told = record.result if record is not None else None
        if record is not None and told is not None and told.status is JobStatus.SUCCEEDED:
            return told, record.images
        for kept in self._books.kept(attempt):
            signal = kept.received.signal
            if signal.verdict == JobStatus.SUCCEEDED and inbox_id in (None, signal.inbox_id):
                return kept.event.result, ()
        return None, ()
