"""Partial images of images that a provider still works on, as their writer and their eraser need them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.partial_images import PartialImage


@dataclass(frozen=True)
class PartialImageOwner:
    """A generation whose partial images are in the object store."""

    tenant_id: str
    generation_id: str


class PartialImages(Protocol):
    """Which generations have partial images. Every call raises DatabaseUnavailable."""

    async def expect_partial_images(self, generation_id: str) -> PartialImageOwner | None:
        """Record that objects will be put, so that they are deleted; None if the generation has ended."""
        ...

    async def record(self, generation_id: str, image: PartialImage) -> None:
        """Tell in the log that a partial image can be read; nothing if the generation has ended."""
        ...

    async def list_to_delete(self, older_than: timedelta, limit: int) -> Sequence[PartialImageOwner]:
        """Return those that ended so long ago, the oldest first."""
        ...

    async def mark_deleted(self, generation_id: str) -> None: ...
