"""What a response states about its images, and their tokens."""

from typing import Any

from simulator.core.synchronous.job_spec import JobSpec

_TOKENS_PER_SQUARE = {"low": 272, "medium": 1056, "high": 4160}
_SQUARE_PIXELS = 1024 * 1024
_TOKENS_PER_INPUT = 323
_TOKENS_PER_PARTIAL_IMAGE = 100


def described(order: JobSpec) -> dict[str, str]:
    """Return the parameters, with `auto` replaced by its result."""
    return {
        "background": "transparent" if order.transparent else "opaque",
        "output_format": order.picture.image_format,
        "quality": _quality(order),
        "size": f"{order.picture.width}x{order.picture.height}",
    }


def usage(order: JobSpec, images: int) -> dict[str, Any]:
    """Return plausible numbers, which grow with prompt, inputs, quality, size, images and partial images."""
    text = len(order.prompt) // 4 + 1
    inputs = _TOKENS_PER_INPUT * len(order.sources)
    pixels = order.picture.width * order.picture.height
    output = images * max(1, _TOKENS_PER_SQUARE[_quality(order)] * pixels // _SQUARE_PIXELS)
    if order.arguments["stream"]:
        output += _TOKENS_PER_PARTIAL_IMAGE * int(order.arguments["partial_images"])
    return {
        "total_tokens": text + inputs + output,
        "input_tokens": text + inputs,
        "output_tokens": output,
        "input_tokens_details": {"text_tokens": text, "image_tokens": inputs},
        "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
    }


def _quality(order: JobSpec) -> str:
    asked = str(order.arguments["quality"])
    return "high" if asked == "auto" else asked
