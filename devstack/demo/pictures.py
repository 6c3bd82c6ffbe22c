"""The client's pictures for the demonstration, drawn here, so that nothing has to be downloaded."""

from io import BytesIO
from typing import Literal

from PIL import Image, ImageDraw

PictureName = Literal["sketch", "palette"]
CONTENT_TYPE = "image/png"
_SIZE = (512, 512)


def picture(name: PictureName) -> bytes:
    """Draw a PNG."""
    drawn = _sketch() if name == "sketch" else _palette()
    file = BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()


def _sketch() -> Image.Image:
    image = Image.new("RGB", _SIZE, "#cfe3ef")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 360, 512, 512), fill="#5b7f5b")
    draw.polygon([(120, 360), (256, 200), (392, 360)], fill="#b5533c")
    draw.ellipse((370, 60, 450, 140), fill="#f2c14e")
    return image


def _palette() -> Image.Image:
    image = Image.new("RGB", _SIZE)
    draw = ImageDraw.Draw(image)
    colors = ("#264653", "#2a9d8f", "#e9c46a", "#f4a261", "#e76f51")
    for number, color in enumerate(colors):
        draw.rectangle((number * 103, 0, number * 103 + 103, 512), fill=color)
    return image
