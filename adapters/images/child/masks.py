"""Masks in the form that some providers want."""

from pathlib import Path

from PIL import Image, ImageChops

from adapters.images.child.files import open_target


def invert_alpha(source: Path, target: Path) -> None:
    """Write a PNG that is white where the source, a PNG, is transparent, and black where it is not."""
    with Image.open(source, formats=("PNG",)) as image, open_target(target) as file:
        ImageChops.invert(image.getchannel("A")).save(file, "png")
