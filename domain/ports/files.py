"""The record of images that clients bring."""

from collections.abc import Sequence
from typing import Protocol

from domain.files import ImageFacts, StoredFile


class Files(Protocol):
    """The images that clients bring."""

    async def add(self, tenant_id: str, file_id: str, key: str, facts: ImageFacts) -> StoredFile:
        """Record a stored object. It expires soon unless it is used."""
        ...

    async def use(self, tenant_id: str, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        """In the order asked for; each expires later now.

        Raises FileNotFound for any unknown, expired, or another tenant's.
        """
        ...

    async def get_for(self, tenant_id: str, file_id: str) -> StoredFile:
        """To look at. Raises FileNotFound for an unknown one, an expired one, or another tenant's."""
        ...

    async def get(self, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        """In the order asked for, expired ones too. Raises FileNotFound for any unknown."""
        ...

    async def expired(self, limit: int) -> Sequence[StoredFile]:
        """Past their time, and needed by no open generation."""
        ...

    async def forget(self, file_id: str) -> None:
        """Delete the record; its object is gone already."""
        ...
