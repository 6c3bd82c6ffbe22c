"""Decoding images whole, as a header or a file name may lie."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile, PngImagePlugin

from adapters.images.child.files import is_outage
from adapters.images.child.normalizer import orientation, size_as_seen
from domain.errors import ResultUnusable

_FORMATS = ("PNG", "JPEG", "WEBP")
# Pillow's name for a JPEG with further pictures behind its first, which is the one that everybody shows.
_CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "MPO": "image/jpeg"}


class _WithoutMetadata(PngImagePlugin.PngStream):
    """Skips texts and large color profiles, which are compressed: none of them is looked at.

    Pillow refuses a picture for one of over a megabyte. Design tools make such ones, and so do calibrated
    screens, and tools that store a workflow in its picture. Skipped, they cost no more than the file's bytes.
    """

    def _skip(self, pos: int, length: int) -> bytes:
        assert self.fp is not None
        return ImageFile._safe_read(self.fp, length)

    def chunk_iCCP(self, pos: int, length: int) -> bytes:  # noqa: N802 - Pillow's name
        assert self.fp is not None
        try:
            return super().chunk_iCCP(pos, length)
        except ValueError:
            self.fp.seek(pos)
            return self._skip(pos, length)

    chunk_tEXt = chunk_zTXt = chunk_iTXt = _skip  # noqa: N815 - Pillow's names


PngImagePlugin.PngStream = _WithoutMetadata  # type: ignore[misc]  # for every PNG of this process


@dataclass(frozen=True)
class Decoded:
    """What a decoded picture is. orientation: the turn that it asks for, 1 to 8 as in EXIF."""

    width: int
    height: int
    content_type: str
    has_alpha: bool
    orientation: int


def decode(path: Path, max_pixels: int) -> Decoded:
    """Decode the first frame, all that is used of an animation. Raises ResultUnusable, OSError for an outage.

    A PNG is looked at twice: only `verify` finds one without its end, only `load` one with broken pixels.
    """
    try:
        return _decode(path, max_pixels)
    except (ResultUnusable, MemoryError):
        raise
    except Exception as error:
        if is_outage(error):
            raise
        raise ResultUnusable(f"not a whole image: {type(error).__name__}") from error


def _decode(path: Path, max_pixels: int) -> Decoded:
    with Image.open(path, formats=_FORMATS) as image:
        # Our own reading of the header came first, and may differ from Pillow's.
        if image.width * image.height > max_pixels:
            raise ResultUnusable(f"{image.width}x{image.height} is over {max_pixels} pixels")
        if image.format == "PNG":
            image.verify()
    with Image.open(path, formats=_FORMATS) as image:
        image.load()
        assert image.format is not None
        width, height = size_as_seen(image)
        # Only a real alpha channel: what a palette's transparent color means differs between programs.
        has_alpha = "A" in image.getbands()
        return Decoded(width, height, _CONTENT_TYPES[image.format], has_alpha, orientation(image))
