"""Requests that wait for the job they make, and are repeated by clients that send no Idempotency-Key."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageRequest:
    """One try of a request, whose answer is the result of its job.

    Attributes:
        connection_id: Of this try alone.
        route: Which of the routes it came by.
        fingerprints: Keyed hashes of all that was asked: under the key that signs, then under the others.
        retry_count: How often its client has sent it before, as the client says.
        marks_repeats: Whether its client says so of each try.
        is_gone: Returns whether its client has disconnected.
    """

    connection_id: str
    api_key_id: str
    route: str
    fingerprints: tuple[str, ...]
    retry_count: int
    marks_repeats: bool
    is_gone: Callable[[], bool]

    @property
    def fingerprint(self) -> str:
        return self.fingerprints[0]
