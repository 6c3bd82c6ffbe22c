"""Input images as the provider sees them: decoded, and logged by hash and size."""

import hashlib
import io
import warnings
from base64 import b64decode
from binascii import Error as BadBase64
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

FORMATS = ("png", "jpeg", "webp")
_MAX_KEPT_PIXELS = 256  # hundreds of requests may wait at once, each with several inputs


class SourceInvalid(ValueError):
    """Not an image that can be decoded, or none of the formats."""


@dataclass(frozen=True)
class Source:
    """One input. width, height: of the original. picture: reduced, as it is only pasted."""

    sha256: str
    size_bytes: int
    width: int
    height: int
    image_format: str
    has_alpha: bool
    picture: Image.Image

    def entry(self) -> dict[str, Any]:
        """Return the source's entry for the log."""
        return {
            "sha256": self.sha256,
            "bytes": self.size_bytes,
            "width": self.width,
            "height": self.height,
            "format": self.image_format,
        }


def decode(content: bytes) -> Source:
    """Decode an image; call it in a thread, as a large one takes time. Raises SourceInvalid."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            image.load()
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise SourceInvalid(str(error)) from error
    width, height = image.size
    has_alpha = image.has_transparency_data
    image_format = str(image.format).lower()
    picture = image.convert("RGBA")
    picture.thumbnail((_MAX_KEPT_PIXELS, _MAX_KEPT_PIXELS))
    digest = hashlib.sha256(content).hexdigest()
    return Source(digest, len(content), width, height, image_format, has_alpha, picture)


def masked(source: Source, mask: Source) -> Image.Image:
    """Return the source with the mask's holes, through which the new image shows."""
    picture = source.picture.copy()
    picture.putalpha(mask.picture.getchannel("A").resize(picture.size))
    return picture


def from_base64(text: str) -> bytes:
    """Raises SourceInvalid."""
    try:
        return b64decode(text, validate=True)
    except (BadBase64, ValueError) as error:
        raise SourceInvalid(f"not base64: {error}") from error


def from_data_url(url: str) -> bytes:
    """Decode `data:…;base64,…`. Raises SourceInvalid for anything else."""
    head, comma, text = url.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        raise SourceInvalid("not a base64 data URL")
    return from_base64(text)
