"""Sizes for models that take an aspect ratio instead of a size."""

import math

MAX_SIDE_PIXELS = 4096


def shaped(wide: float, high: float, pixels: int, step: int = 16) -> tuple[int, int]:
    """Return a size with this ratio and about this many pixels, each side a multiple of the step."""
    scale = math.sqrt(pixels / (wide * high)) / step
    width, height = (min(MAX_SIDE_PIXELS, max(step, round(side * scale) * step)) for side in (wide, high))
    return width, height
