"""Input files."""

from datetime import datetime

from pydantic import BaseModel


class FileView(BaseModel):
    """A stored image that generations may use until it expires; each use extends that."""

    id: str
    width: int
    height: int
    content_type: str
    size_bytes: int
    sha256: str
    has_alpha: bool
    created_at: datetime
    expires_at: datetime
