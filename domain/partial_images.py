"""Partial images, which a provider sends while it makes an image. They live until the job has ended."""

from dataclasses import dataclass

MAX_PARTIAL_IMAGES = 3


@dataclass(frozen=True)
class PartialImage:
    """One partial image in our storage.

    Attributes:
        index: Of the image that it becomes.
        partial_index: Which partial image of that image it is, from 0.
    """

    index: int
    partial_index: int
    width: int
    height: int
    content_type: str
    size_bytes: int


def partial_key(tenant_id: str, generation_id: str, index: int, partial_index: int) -> str:
    """Return the key of an object; one that comes again takes the place of the first."""
    return f"{tenant_id}/{generation_id}/{index}-partial-{partial_index}"


def partial_keys(tenant_id: str, generation_id: str) -> list[str]:
    """Return every key that there can be: only single images have partial ones."""
    return [partial_key(tenant_id, generation_id, 0, number) for number in range(MAX_PARTIAL_IMAGES)]
