"""Erasing what belongs to a client: asked for, or because its time is over. Every call is safe to repeat."""

from collections.abc import Sequence
from typing import Protocol

from domain.audit import Actor
from domain.retention import DataKind, Retention


class Erasure(Protocol):
    """Erases from the database; the objects of erased images are left to the reconciler."""

    async def delete_generation(self, tenant_id: str, generation_id: str, *, by: Actor) -> None:
        """Erase all of an ended generation that is not the books'. Raises GenerationNotFound, NotTerminal."""
        ...

    async def expire_file(self, tenant_id: str, file_id: str, *, by: Actor) -> None:
        """Let a file expire now. Raises FileNotFound, FileInUse."""
        ...

    async def erase_due(self, kind: DataKind, retention: Retention, limit: int) -> int:
        """Erase what is kept too long, of at most so many generations; return how many were looked at."""
        ...

    async def erase_expired_images(self, limit: int) -> int:
        """Erase images whose client set a time for them that is over; return of how many generations."""
        ...

    async def purge_events(self, retention: Retention, limit: int) -> int:
        """Delete events that are kept too long, the oldest first; return how many."""
        ...

    async def list_tenants_to_erase(self, limit: int) -> Sequence[str]:
        """Return tenants whose erasure was requested and is not finished."""
        ...

    async def erase_tenant_batch(self, tenant_id: str, limit: int) -> int:
        """Erase ended generations of such a tenant; return how many.

        Once none, no open one and no file is left, the tenant itself is erased: its name, and those of its
        keys.
        """
        ...
