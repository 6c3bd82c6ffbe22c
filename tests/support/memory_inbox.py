"""Webhooks in memory, which pass the same suite as those in PostgreSQL."""

from dataclasses import replace

from domain.errors import GenerationNotFound
from domain.ports import WebhookReceipt
from domain.provider import AttemptRef, ProviderEvent
from tests.support.memory_books import MemoryBooks


class MemoryInbox:
    """The Inbox port."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def receive(self, provider: str, attempt: AttemptRef, event: ProviderEvent) -> WebhookReceipt:
        row = self._books.row(attempt.generation_id)
        if row.asked_of(attempt.ordinal).provider != provider:
            raise GenerationNotFound
        record = row.records.get(attempt.ordinal)
        known = record.job.job_id if record is not None and record.job is not None else event.job_id
        genuine = record is not None and known == event.job_id
        return self._books.keep(provider, attempt, event, genuine=genuine)

    async def mark_relayed(self, inbox_id: int) -> None:
        for kept in self._books.inbox.values():
            if kept.received.signal.inbox_id == inbox_id:
                kept.received = replace(kept.received, relayed=True)
