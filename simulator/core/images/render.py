"""Draws the images: all different, and equal for the same job, index and seed."""

import hashlib
import io
import math
import textwrap
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from simulator.core.faults.switches import without_markers
from simulator.core.jobs import Picture

MAX_TEXT_CHARACTERS = 240
CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

_SAVE_OPTIONS: dict[str, dict[str, int]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 85},
    "webp": {"quality": 80, "method": 0},
}


def draw(
    picture: Picture,
    prompt: str,
    job_id: str,
    index: int,
    *,
    black: bool = False,
    inputs: Sequence[Image.Image] = (),
    transparent: bool = False,
    quality: int | None = None,
) -> bytes:
    """Draw an encoded image of exactly this size. black: as a provider sends after its content check.

    inputs: images to edit, each pasted at its box of `input_boxes`; the new image shows through its holes.
    transparent: only circles, inputs and text are opaque. quality: 1 to 100, for jpeg and webp.
    """
    size = (picture.width, picture.height)
    if black:
        image = Image.new("RGB", size)
    else:
        image = _paint(size, _noise(job_id, index, picture.seed), transparent=transparent)
        for source, box in zip(inputs, input_boxes(size, len(inputs)), strict=True):
            small = source.convert("RGBA").resize((box[2] - box[0], box[3] - box[1]))
            image.paste(small, box, small)
        _write(image, without_markers(prompt))
    options = _SAVE_OPTIONS[picture.image_format]
    if quality is not None and "quality" in options:
        options = {**options, "quality": quality}
    file = io.BytesIO()
    image.save(file, picture.image_format, **options)
    return file.getvalue()


def input_boxes(size: tuple[int, int], count: int) -> list[tuple[int, int, int, int]]:
    """Return where the inputs of an edit are pasted: a grid over the upper half, left to right and down."""
    if count == 0:
        return []
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    width, height = size[0] / columns, size[1] / 2 / rows
    boxes = []
    for index in range(count):
        row, column = divmod(index, columns)
        left, top = int((column + 0.1) * width), int((row + 0.1) * height)
        boxes.append((left, top, left + max(1, int(width * 0.8)), top + max(1, int(height * 0.8))))
    return boxes


def _noise(job_id: str, index: int, seed: int) -> bytes:
    return hashlib.shake_128(f"{job_id}/{index}/{seed}".encode()).digest(256)


def _paint(size: tuple[int, int], noise: bytes, *, transparent: bool) -> Image.Image:
    """Paint random colors as soft clouds, with some circles on them."""
    if transparent:
        image = Image.new("RGBA", size)
    else:
        image = Image.frombytes("RGB", (4, 4), noise[:48]).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for start in range(48, 48 + 6 * 6, 6):
        x, y, radius, *color = noise[start : start + 6]
        center = (x * size[0] // 256, y * size[1] // 256)
        pen.circle(center, 2 + radius * min(size) // 1500, fill=(color[0], color[1], color[2]))
    return image


def _write(image: Image.Image, text: str) -> None:
    """Write the text on a dark band at the bottom."""
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
