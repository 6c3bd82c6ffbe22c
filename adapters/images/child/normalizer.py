"""Pictures of phones, cameras and design tools, as their makers see them.

A photograph may be stored sideways with a note how to turn it (EXIF orientation), which one model heeds and
the next does not, and a mask is drawn on what the user sees. A print program writes CMYK, a scanner 16 bits
of gray, a tool that makes PNGs small puts transparency into the palette. Such a picture is rewritten once,
upright and in a form that every model reads; any other keeps its bytes.
"""

import io
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageOps

from adapters.images.child.files import is_outage, open_target
from domain.errors import ResultUnusable

_TURNED = range(2, 9)
_LYING = range(5, 9)
_DEEP_GRAY = ("I;16", "I;16B", "I;16L", "I", "F")
_OPTIONS: dict[str, dict[str, Any]] = {
    # A tenth larger than by default, in a quarter of the time.
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95},
}


def size_as_seen(image: Image.Image) -> tuple[int, int]:
    """Return width and height in pixels after the turn that the picture asks for."""
    return (image.height, image.width) if orientation(image) in _LYING else image.size


def normalize(source: Path, target: Path) -> bool:
    """Write the picture to the target if needed; return whether it was.

    Raises ResultUnusable, OSError for an outage.
    """
    try:
        with Image.open(source, formats=tuple(_OPTIONS)) as image:
            kind = image.format or ""
            rewritten = _normalized(image)
            if rewritten is None:
                return False
            kind = kind if kind in _OPTIONS else "JPEG"
            rewritten.info.pop("exif", None)
            profile = rewritten.info.get("icc_profile")
            with open_target(target) as file:
                rewritten.save(file, kind, icc_profile=profile, **_OPTIONS[kind])
    except MemoryError:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        raise ResultUnusable(f"cannot be rewritten: {type(error).__name__}") from error
    return True


def _normalized(image: Image.Image) -> Image.Image | None:
    """Return the picture in a form that every program sees alike; None if it has it."""
    found = image
    if orientation(image) in _TURNED:
        found = ImageOps.exif_transpose(image)
    if found.mode == "CMYK":
        found = _rgb_of_print(found)
    elif found.mode in _DEEP_GRAY:
        found = _eight_bits(found)
    elif found.has_transparency_data and "A" not in found.getbands():
        found = found.convert("RGBA")
    return None if found is image else found


def orientation(image: Image.Image) -> int:
    """Return the turn that EXIF asks for, or XMP where EXIF says nothing; 1 is none."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - Pillow parses EXIF with few checks, and broken notes turn nothing
        return 1
    return value if isinstance(value, int) else 1


def _rgb_of_print(image: Image.Image) -> Image.Image:
    """Convert by the picture's own color profile, or roughly where it has none that can be read."""
    profile = image.info.get("icc_profile")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        found = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        assert found is not None
    except (ImageCms.PyCMSError, OSError):
        found = image.convert("RGB")
    found.info.pop("icc_profile", None)  # it describes CMYK
    return found


def _eight_bits(image: Image.Image) -> Image.Image:
    wide = image.convert("I") if image.mode.startswith("I;") else image
    _, high = wide.getextrema()
    scale = 1 / 256 if float(high) > 255 else 1.0  # type: ignore[arg-type]
    return wide.point(lambda value: value * scale).convert("L")
