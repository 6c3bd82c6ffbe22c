"""Inspects images by decoding them whole, as a header or a file name may lie."""

import asyncio
import hashlib
import warnings
from concurrent.futures import Executor
from pathlib import Path

from PIL import Image, ImageFile, PngImagePlugin

from adapters.storage.image_normalizer import normalize, size_as_seen
from domain.errors import ResultUnusable
from domain.input_files import ImageFacts

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


class PillowInspector:
    """Decodes PNG, JPEG and WebP, and nothing else, up to a number of pixels."""

    def __init__(self, executor: Executor, *, max_pixels: int) -> None:
        self._executor = executor
        self._largest_pixels = max_pixels

    async def inspect(self, path: Path) -> ImageFacts:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _inspect, path, self._largest_pixels)

    async def normalize(self, path: Path) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._executor, normalize, path)


def _inspect(path: Path, max_pixels: int) -> ImageFacts:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            width, height, kind, has_alpha = _decode(path, max_pixels)
    except ResultUnusable:
        raise
    except Exception as error:
        raise ResultUnusable(f"not a whole image: {type(error).__name__}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    size_bytes = path.stat().st_size
    return ImageFacts(width, height, _CONTENT_TYPES[kind], size_bytes, digest.hexdigest(), has_alpha)


def _decode(path: Path, max_pixels: int) -> tuple[int, int, str, bool]:
    """Check twice: `verify` finds a PNG without its end, `load` a JPEG cut in half."""
    with Image.open(path, formats=_FORMATS) as image:
        if image.width * image.height > max_pixels:
            raise ResultUnusable(f"{image.width}x{image.height} is over {max_pixels} pixels")
        image.verify()
    with Image.open(path, formats=_FORMATS) as image:
        image.load()
        assert image.format is not None
        width, height = size_as_seen(image)
        # Only a real alpha channel: what a palette's transparent color means differs between programs.
        return width, height, image.format, "A" in image.getbands()
