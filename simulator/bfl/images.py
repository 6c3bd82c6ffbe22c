"""The images of a request: which fields hold them, their limits, and the size of the result."""

from simulator.bfl.errors import invalid
from simulator.bfl.models import BflRequest, Expand, Fill, Klein, Sized, Ultra, WithRatio
from simulator.core.images.inputs import MAX_INPUT_BYTES, Input, fetched, opened
from simulator.core.images.sizes import MAX_SIDE_PIXELS, shaped
from simulator.core.images.sources import SourceInvalid, from_base64
from simulator.core.jobs import Picture

MAX_INPUT_PIXELS = 20_000_000
_NUMBERED = tuple(f"input_image_{number}" for number in range(2, 9))
FIELDS = ("image", "mask", "image_prompt", "input_image", *_NUMBERED)
_MEGAPIXEL = 1_000_000


async def given_images(arguments: BflRequest) -> dict[str, Input]:
    """Return every image of the request by its field, decoded. Raises Rejected."""
    images = {}
    for field in FIELDS:
        text = getattr(arguments, field, None)
        if text:
            images[field] = await _image(field, text)
    if "mask" in images and _size(images["mask"]) != _size(images["image"]):
        raise invalid("mask", "must have the size of the image")
    if isinstance(arguments, Fill) and "mask" not in images and not images["image"].source.has_alpha:
        raise invalid("mask", "is required for an image without transparency", "missing")
    return images


def picture_of(arguments: BflRequest, images: dict[str, Input], seed: int) -> Picture:
    """Return what to draw."""
    first = next(iter(images.values()), None)
    width, height = _output_size(arguments, first)
    return Picture(width, height, arguments.output_format, seed, 1)


def megapixels(width: int, height: int) -> float:
    return round(width * height / 1_000_000, 2)


def white_share(mask: Input) -> float:
    """Return the share of the image to repaint, by the mask's color; its alpha is ignored."""
    counts = mask.source.picture.convert("L").histogram()
    return round(sum(counts[128:]) / sum(counts), 2)


async def _image(field: str, text: str) -> Input:
    try:
        content = await fetched(text) if text.startswith(("http", "data:")) else from_base64(text)
        image = await opened(content)
    except SourceInvalid as error:
        raise invalid(field, f"not an image: {error}") from error
    if len(content) > MAX_INPUT_BYTES or image.source.width * image.source.height > MAX_INPUT_PIXELS:
        raise invalid(field, "may have 20 MB and 20 megapixels")
    return image


def _size(image: Input) -> tuple[int, int]:
    return image.source.width, image.source.height


def _output_size(arguments: BflRequest, first: Input | None) -> tuple[int, int]:
    if isinstance(arguments, Klein) and arguments.width and arguments.height:
        return arguments.width, arguments.height
    if isinstance(arguments, Sized):
        return arguments.width, arguments.height
    if isinstance(arguments, WithRatio) and arguments.aspect_ratio is not None:
        wide, high = (int(part) for part in arguments.aspect_ratio.split(":"))
        return shaped(wide, high, _MEGAPIXEL * (4 if isinstance(arguments, Ultra) else 1))
    if first is None:
        return 1024, 1024
    width, height = _size(first)
    if isinstance(arguments, Expand):
        width += arguments.left + arguments.right
        height += arguments.top + arguments.bottom
    if isinstance(arguments, Fill | Expand) and max(width, height) <= MAX_SIDE_PIXELS:
        return width, height
    return shaped(width, height, _MEGAPIXEL)
