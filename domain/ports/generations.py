"""Generations as rows that outlive every workflow."""

from typing import Protocol

from domain.generation import Generation, GenerationRequest
from domain.image_requests import ImageRequest
from domain.listing import GenerationFilter, GenerationSlice, ListOrder, ListPosition


class Generations(Protocol):
    """Stores, reads and lists generations."""

    async def create(
        self,
        tenant_id: str,
        request: GenerationRequest,
        key: str | None,
        fingerprint: str,
        image_request: ImageRequest | None = None,
    ) -> tuple[Generation, bool]:
        """Store a request; return the one that the key already had, and False, if there is one.

        fingerprint: as domain/fingerprints.py makes it. image_request: whose client waits for it; recorded in
        the same transaction. Raises FileNotFound for a file that is gone, RequestAbandoned, OutcomeUnknown.
        """
        ...

    async def find_by_key(self, tenant_id: str, key: str) -> tuple[Generation, str] | None:
        """Return the generation of an Idempotency-Key and its fingerprint."""
        ...

    async def get_generation(self, generation_id: str) -> Generation:
        """Raises GenerationNotFound."""
        ...

    async def get_generation_of(self, tenant_id: str, generation_id: str) -> Generation:
        """Raises GenerationNotFound, also for another tenant's."""
        ...

    async def list_generations(
        self,
        tenant_id: str,
        wanted: GenerationFilter,
        order: ListOrder,
        *,
        after: ListPosition | None,
        limit: int,
    ) -> GenerationSlice:
        """Return some of the tenant's generations that it has not deleted."""
        ...

    async def record_cancel_request(self, tenant_id: str, generation_id: str) -> Generation:
        """Store that a client wants to stop it. Raises GenerationNotFound, TooLateToCancel."""
        ...
