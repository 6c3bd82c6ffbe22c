"""Input files: images that clients bring as inputs of a generation, and masks. Pure data."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

FILE_ID_PATTERN = "^file_[0-9a-z]{1,64}$"
FILE_ID = re.compile(FILE_ID_PATTERN[1:-1])


class FilePurpose(StrEnum):
    """What a file may be used for."""

    IMAGE = "image"
    BATCH = "batch"


@dataclass(frozen=True)
class ImageFacts:
    """What the bytes of an image say. `sha256` is hex. Of a batch's lines, width and height are 0."""

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
    """An image or a batch's lines in our storage until it expires; each use extends that."""

    id: str
    tenant_id: str
    key: str
    facts: ImageFacts
    created_at: datetime
    expires_at: datetime
    purpose: FilePurpose = FilePurpose.IMAGE
