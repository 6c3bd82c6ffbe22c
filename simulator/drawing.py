"""Draws the pictures: real ones, all different, the same again for the same job, index and seed."""

import hashlib
import io
import textwrap
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from simulator.faults import without_markers
from simulator.jobs import Picture

MAX_TEXT_CHARACTERS = 240
CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

_SAVE_OPTIONS: dict[str, dict[str, int]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 85},
    "webp": {"quality": 80, "method": 0},
}


def draw(picture: Picture, prompt: str, job_id: str, index: int, *, black: bool = False) -> bytes:
    """An encoded image at exactly the size asked for. black: what a provider sends when its checker hit."""
    size = (picture.width, picture.height)
    image = Image.new("RGB", size) if black else _paint(size, _noise(job_id, index, picture.seed))
    if not black:
        _write(image, without_markers(prompt))
    file = io.BytesIO()
    image.save(file, picture.image_format, **_SAVE_OPTIONS[picture.image_format])
    return file.getvalue()


def _noise(job_id: str, index: int, seed: int) -> bytes:
    return hashlib.shake_128(f"{job_id}/{index}/{seed}".encode()).digest(256)


def _paint(size: tuple[int, int], noise: bytes) -> Image.Image:
    """A few random colours blown up into soft clouds, with some circles on them."""
    image = Image.frombytes("RGB", (4, 4), noise[:48]).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for start in range(48, 48 + 6 * 6, 6):
        x, y, radius, *colour = noise[start : start + 6]
        centre = (x * size[0] // 256, y * size[1] // 256)
        pen.circle(centre, 2 + radius * min(size) // 1500, fill=(colour[0], colour[1], colour[2]))
    return image


def _write(image: Image.Image, text: str) -> None:
    """The text on a dark band at the bottom."""
    text = text[:MAX_TEXT_CHARACTERS].encode("utf-8", "replace").decode()
    size_pixels = max(8, image.width // 24)
    lines = textwrap.wrap(text, max(8, image.width * 2 // size_pixels - 4))
    line_pixels = size_pixels * 5 // 4
    top = image.height - len(lines) * line_pixels - size_pixels
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, top, image.width, image.height), fill=(16, 16, 20))
    for number, line in enumerate(lines):
        place = (size_pixels, top + size_pixels // 2 + number * line_pixels)
        pen.text(place, line, fill=(240, 240, 240), font=_font(size_pixels))


@lru_cache(maxsize=64)
def _font(size_pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_pixels)
