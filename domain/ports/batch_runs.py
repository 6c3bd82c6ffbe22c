"""What the activities of a batch do with its rows. Each call is safe to repeat and to race with any other."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from domain.batch_runs import BatchFile, BatchLook, WaitingItem
from domain.batches import Batch, BatchInput, BatchItemDraft, LineError
from domain.generation import Generation, GenerationRequest


class BatchRuns(Protocol):
    """Makes the generations of a batch, and ends it."""

    async def look_at_batch(self, batch_id: str) -> BatchLook:
        """Raises BatchNotFound."""
        ...

    async def list_waiting_items(
        self, batch_id: str, limit: int, *, after: int = -1
    ) -> Sequence[WaitingItem]:
        """Return items by their index. after: the index of the last one that is known."""
        ...

    async def begin_item(
        self, batch_id: str, item: WaitingItem, request: GenerationRequest, fingerprint: str
    ) -> Generation | None:
        """Make the item's generation, once.

        None if nothing was made: the item does not wait any more, the batch makes no more or has as many open
        as it may, the API key has as much held as it may, or the idempotency key was used meanwhile. Raises
        FileNotFound.
        """
        ...

    async def attach_item(self, batch_id: str, index: int, generation_id: str) -> bool:
        """Give a waiting item a generation that there is; return whether it waited."""
        ...

    async def fail_item(self, batch_id: str, index: int, code: str, text: str | None) -> bool:
        """End a waiting item; return whether it waited."""
        ...

    async def stop_batch(self, batch_id: str, code: str) -> None:
        """Make no more of a batch. What was begun goes on."""
        ...

    async def cancel_items(self, batch_id: str, limit: int) -> int:
        """End waiting items of a batch that is canceled or stopped; return how many.

        If its client cancels it, also those that wait for another request's generation.
        """
        ...

    async def list_generations_to_cancel(self, batch_id: str) -> Sequence[str]:
        """Return open generations of a batch of which nobody has requested a cancel; not those it found."""
        ...

    async def end_batch(self, batch_id: str) -> Batch | None:
        """End a batch whose items have all ended, with its summary event; None while that is not so.

        Also None of one that has ended before.
        """
        ...

    async def list_open_batches(self, older_than: timedelta, limit: int) -> Sequence[BatchInput]:
        """Return open batches, those not looked at for longest first. They count as looked at now."""
        ...


class BatchFiles(Protocol):
    """Takes over what a batch's file says, or refuses it."""

    async def get_file_to_check(self, batch_id: str) -> BatchFile | None:
        """Return the file of a batch that is validated; None for any other. Raises FileNotFound."""
        ...

    async def add_items(self, batch_id: str, items: Sequence[BatchItemDraft]) -> bool:
        """Store items that are not stored yet; return whether the batch is still validated."""
        ...

    async def accept_file(self, batch_id: str, price_credits: int) -> None:
        """Let a batch begin whose items are all stored."""
        ...

    async def refuse_file(
        self,
        batch_id: str,
        code: str,
        errors: Sequence[LineError] = (),
        error_count: int = 0,
        price_credits: int = 0,
    ) -> Batch | None:
        """End a batch that is validated, without its items, with its summary event; None for any other.

        price_credits: Of all its lines, where it was refused for that.
        """
        ...
