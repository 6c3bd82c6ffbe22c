"""Masks in the form that some providers want."""

from pathlib import Path

import pytest
from PIL import Image

from adapters.images.child.masks import invert_alpha


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    mask = Image.new("RGBA", (3, 1), (9, 9, 9, 255))
    mask.putpixel((1, 0), (9, 9, 9, 0))
    mask.putpixel((2, 0), (9, 9, 9, 155))
    mask.save(source, "PNG")
    target.touch()

    invert_alpha(source, target)
    with Image.open(target) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        assert [image.getpixel((x, 0)) for x in range(3)] == [0, 255, 100]


def test_a_file_that_the_parent_has_removed_is_not_made_again(tmp_path: Path) -> None:
    Image.new("RGBA", (1, 1)).save(tmp_path / "source", "PNG")
    with pytest.raises(FileNotFoundError):
        invert_alpha(tmp_path / "source", tmp_path / "target")
    assert not (tmp_path / "target").exists()
