"""The stored images of a generation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.generation import Generation, Image, Outcome, Undelivered
from domain.provider import AttemptRef, ResultFile


@dataclass(frozen=True)
class ResultToStore:
    """A result that is to be copied to our storage.

    provider: Whose result it is. files: Where to download it, or delivered: what a synchronous provider's
    response has put into our storage already. recorded: Not empty if an earlier run has finished.
    """

    generation: Generation
    provider: str
    files: tuple[ResultFile, ...]
    delivered: tuple[Image, ...]
    undelivered: tuple[Undelivered, ...]
    recorded: tuple[Image, ...]


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

    async def finish_storing(
        self, generation_id: str, images: Sequence[Image], undelivered: Sequence[Undelivered] = ()
    ) -> bool:
        """Record all images at once; False if the generation has ended without any."""
        ...
