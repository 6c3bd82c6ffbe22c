"""Stored images in memory, which pass the same suite as those in PostgreSQL."""

from collections.abc import Sequence

from domain.generation import Image, Outcome, Stage
from domain.ports import Storing
from domain.provider import AttemptRef, ResultFile, Verdict
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
        return Storing(row.generation(), self._files(attempt, inbox_id), row.images)

    async def finish_storing(self, generation_id: str, images: Sequence[Image]) -> bool:
        row = self._books.row(generation_id)
        if row.images:
            return True
        if row.status.is_terminal:
            return False
        row.images = tuple(images)
        row.enter(Stage.SETTLING)
        return True

    def _files(self, attempt: AttemptRef, inbox_id: int | None) -> tuple[ResultFile, ...]:
        record = self._books.row(attempt.generation_id).records.get(attempt.ordinal)
        if record is not None and record.result is not None and record.result.files:
            return record.result.files
        for kept in self._books.kept(attempt):
            signal = kept.received.signal
            if signal.verdict == Verdict.SUCCEEDED and inbox_id in (None, signal.inbox_id):
                return kept.event.result.files
        return ()
