"""Images that clients bring: inputs of a generation, and masks. Pure data."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ImageFacts:
    """What the bytes themselves say. `sha256` is hex."""

    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str
    has_alpha: bool = False


@dataclass(frozen=True)
class StoredFile:
    """One image of a tenant's, in our storage until it expires; each use puts that off."""

    id: str
    tenant_id: str
    key: str
    facts: ImageFacts
    created_at: datetime
    expires_at: datetime
