"""Input files."""

from datetime import datetime

from pydantic import BaseModel

from domain.input_files import FilePurpose


class FileView(BaseModel):
    """A stored image that generations may use until it expires; each use extends that.

    Of the lines of a batch, `width` and `height` are null.
    """

    id: str
    purpose: FilePurpose
    width: int | None
    height: int | None
    content_type: str
    size_bytes: int
    sha256: str
    has_alpha: bool
    created_at: datetime
    expires_at: datetime
