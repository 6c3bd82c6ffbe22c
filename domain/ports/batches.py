"""Batches as rows that outlive every workflow, and their workflows from outside."""

from collections.abc import Collection, Sequence
from typing import Protocol

from domain.batches import Batch, BatchDraft, BatchInput, BatchItem, BatchStatus, ItemStatus
from domain.ports.services import WorkflowState


class Batches(Protocol):
    """What clients do with batches, and see of them."""

    async def create_batch(
        self, draft: BatchDraft, key: str | None, fingerprint: str, *, max_open: int
    ) -> tuple[Batch, bool]:
        """Store a batch and its items; return the one that the key already had, and False, if there is one.

        A file lives on while its batch is validated. What the batch costs is not checked here. fingerprint:
        as domain/fingerprints.py makes it. max_open: how many batches of the tenant may be open with it.
        Raises TooManyOpenBatches, FileNotFound, OutcomeUnknown.
        """
        ...

    async def find_batch_by_key(self, tenant_id: str, key: str) -> tuple[Batch, str] | None:
        """Return the batch of an Idempotency-Key and its fingerprint."""
        ...

    async def get_batch_of(self, tenant_id: str, batch_id: str) -> Batch:
        """Raises BatchNotFound, also for another tenant's."""
        ...

    async def list_batches(
        self, tenant_id: str, *, after: str | None, limit: int, status: BatchStatus | None = None
    ) -> Sequence[Batch]:
        """Return batches, newest first. after: the id of the last one of the page before."""
        ...

    async def list_batch_items(
        self,
        tenant_id: str,
        batch_id: str,
        *,
        after: int | None,
        limit: int,
        status: ItemStatus | None = None,
    ) -> Sequence[BatchItem]:
        """Return items by their index, with their generations. Raises BatchNotFound.

        after: the index of the last one of the page before.
        """
        ...

    async def record_batch_cancel(self, tenant_id: str, batch_id: str) -> Batch:
        """Store that a client wants to stop it; a canceled one stays as it is.

        Raises BatchNotFound; TooLateToCancel if it has ended otherwise.
        """
        ...


class UsedKeys(Protocol):
    """Idempotency keys that have made a generation: an item of a batch that has one of them makes none."""

    async def find_used_keys(self, tenant_id: str, keys: Collection[str]) -> Collection[str]:
        """Return those idempotency keys that a generation of the tenant has."""
        ...


class BatchWorkflows(Protocol):
    """Starts and signals the workflows of batches. Raises TemporalUnavailable."""

    async def start_batch(self, batch: BatchInput) -> None:
        """Start it unless it runs. Of a batch that has ended, it ends at once."""
        ...

    async def signal_batch_cancel(self, batch_id: str) -> bool:
        """Have it look now and not in some seconds; return False if no workflow is open to receive it."""
        ...

    async def describe_batch(self, batch_id: str) -> WorkflowState: ...
