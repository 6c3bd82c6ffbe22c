"""Which jobs have a client that waits for them, over all processes of the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.image_requests import ImageRequest


@dataclass(frozen=True)
class AdoptableJobs:
    """adopted: the id of the job that the request now waits for; None if no connection of one has ended.

    connected: of the others alike, by id, until when each has a client unless that is renewed.
    """

    adopted: str | None
    connected: Mapping[str, datetime]


class ImageRequests(Protocol):
    """Leases of waiting connections. One that is not renewed counts as ended."""

    async def adopt(self, request: ImageRequest) -> AdoptableJobs:
        """Attach a repeated request to the newest job alike whose connection ended without an answer.

        Each try of a client adopts a job once, and none that a later try has.
        """
        ...

    async def renew(self, connection_ids: Sequence[str]) -> None:
        """Say that these still wait."""
        ...

    async def end(self, connection_ids: Sequence[str]) -> None:
        """Say that these ended without an answer."""
        ...

    async def mark_answered(self, connection_ids: Sequence[str]) -> None:
        """Say that these have their answer: nobody adopts their jobs."""
        ...

    async def forget_old(self) -> int:
        """Delete what is too old to be adopted, up to a limit; return how many."""
        ...
