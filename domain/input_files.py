"""Input files: images that clients bring as inputs of a generation, and masks. Pure data."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class ImageFacts:
    """What the bytes of an image say. `sha256` is hex."""

    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str
    has_alpha: bool = False


@dataclass(frozen=True)
class PreparedImage:
    """An image as it may be stored.

    path: of the bytes that `facts` describe. source_sha256: hex, of the bytes as they came.
    """

    path: Path
    facts: ImageFacts
    source_sha256: str


@dataclass(frozen=True)
class InputFile:
    """An image of a tenant in our storage until it expires; each use extends that."""

    id: str
    tenant_id: str
    key: str
    facts: ImageFacts
    created_at: datetime
    expires_at: datetime
