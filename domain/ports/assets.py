"""The stored images of a generation."""

from dataclasses import dataclass
from typing import Protocol

from domain.generation import Generation, Image, Outcome, Undelivered
from domain.provider import AttemptRef, ResultFile


@dataclass(frozen=True)
class ResultToStore:
    """A result that is to be copied to our storage.

    Attributes:
        provider: Whose result it is.
        files: Where to download it.
        delivered: What a synchronous provider's response has put into our storage already.
        unstored: Indexes of images of such a response whose bytes `save_unstored` keeps.
        recorded: Not empty if an earlier run has finished.
        age_seconds: How long ago storing began, by the database's clock.
        is_grant_due: Whether somebody may wait for the slot that is free now.
    """

    generation: Generation
    provider: str
    files: tuple[ResultFile, ...]
    delivered: tuple[Image, ...]
    undelivered: tuple[Undelivered, ...]
    recorded: tuple[Image, ...]
    unstored: tuple[int, ...] = ()
    age_seconds: float = 0.0
    is_grant_due: bool = False


@dataclass(frozen=True)
class StoringStart:
    """The result of a begin: a result to store, the outcome if it has ended, or neither after a cancel."""

    result: ResultToStore | None = None
    outcome: Outcome | None = None


class Assets(Protocol):
    """Stored images, and the step into storing them: from then on a cancel is too late."""

    async def begin_storing(self, attempt: AttemptRef, inbox_id: int | None) -> StoringStart:
        """Enter the stage `storing`, unless a cancel or another end came first."""
        ...

    async def expect_objects(self, generation_id: str) -> Generation | None:
        """Record that objects will be put before storing begins; None if the generation has ended."""
        ...

    async def save_unstored(self, generation_id: str, index: int, content: bytes) -> None:
        """Keep the bytes of an image in the database while the object store is away.

        They are deleted when the images are recorded, or with the objects of a generation that failed.
        """
        ...

    async def load_unstored(self, generation_id: str, index: int) -> bytes: ...
