"""Sizes for models that are asked for a shape instead of a size."""

import math

MAX_SIDE_PIXELS = 4096


def shaped(wide: float, high: float, pixels: int, step: int = 16) -> tuple[int, int]:
    """About so many pixels in the shape of wide to high, in whole steps on each side."""
    scale = math.sqrt(pixels / (wide * high)) / step
    width, height = (min(MAX_SIDE_PIXELS, max(step, round(side * scale) * step)) for side in (wide, high))
    return width, height
