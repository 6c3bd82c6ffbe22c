"""Images to send, and the colors of those that come back."""

import hashlib
import io
from base64 import b64decode, b64encode

from PIL import Image

Color = tuple[int, ...]


def plain(color: Color, size: tuple[int, int] = (64, 48), image_format: str = "png") -> bytes:
    """Return an image of one color; four numbers make it RGBA."""
    file = io.BytesIO()
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(file, image_format)
    return file.getvalue()


def mask_with_hole_at_the_left(size: tuple[int, int] = (64, 48)) -> bytes:
    image = Image.new("RGBA", size, (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def opened(content: bytes | str) -> Image.Image:
    """Open an image. content: bytes, or their base64."""
    image = Image.open(io.BytesIO(b64decode(content) if isinstance(content, str) else content))
    image.load()
    return image


def data_url(content: bytes, content_type: str = "image/png") -> str:
    return f"data:{content_type};base64,{b64encode(content).decode()}"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def colour_at(image: Image.Image, box: tuple[int, int, int, int], share: float = 0.5) -> Color:
    """Return the color in the middle of a box, or at another share of its width."""
    x, y = box[0] + int((box[2] - box[0]) * share), (box[1] + box[3]) // 2
    pixel = image.convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return tuple(int(part) for part in pixel)


def is_near(one: Color, other: Color) -> bool:
    """Return whether two colors are equal except for compression."""
    return all(abs(a - b) <= 12 for a, b in zip(one, other, strict=True))
