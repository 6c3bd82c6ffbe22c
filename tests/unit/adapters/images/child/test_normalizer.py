"""A client's picture is stored as its maker sees it: upright, and in a form that every model reads."""

import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageCms

from adapters.images.child import normalizer
from adapters.images.child.decoding import Decoded, decode
from domain.errors import ResultUnusable

WIDTH, HEIGHT = 96, 64
# Red at the left, blue at the right, so that every turn shows.
PICTURE = Image.new("RGB", (WIDTH, HEIGHT), "blue")
PICTURE.paste("red", (0, 0, WIDTH // 2, HEIGHT))
# How a camera stores the upright picture for each note: the turn that undoes the noted one.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def put(folder: Path, kind: str, picture: Image.Image, **options: object) -> Path:
    path = folder / "picture"
    picture.save(path, kind, **options)
    return path


def normalize(path: Path) -> bool:
    """Put the rewritten picture, where there is one, into the place of the other."""
    target = path.with_name("target")
    target.touch()
    is_rewritten = normalizer.normalize(path, target)
    if is_rewritten:
        target.replace(path)
    return is_rewritten


def _inspect(path: Path) -> Decoded:
    return decode(path, 1_000_000)


def noted(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "a phone"
    return exif


def colors(path: Path) -> list[str]:
    """Return the colors at the left and the right edge, as a viewer without EXIF shows them."""
    with Image.open(path) as image:
        size = image.size
        shown = image.convert("RGB")
    assert size == (WIDTH, HEIGHT)
    edges = [shown.getpixel((x, HEIGHT // 2)) for x in (4, WIDTH - 5)]
    return ["red" if isinstance(edge, tuple) and edge[0] > edge[2] else "blue" for edge in edges]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_is_turned_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    turn = STORED[orientation]
    stored = PICTURE if turn is None else PICTURE.transpose(turn)
    path = put(tmp_path, kind, stored, exif=noted(orientation), icc_profile=PROFILE)
    seen = _inspect(path)

    assert normalize(path) is (orientation != 1)
    assert colors(path) == ["red", "blue"]
    facts = _inspect(path)
    assert (facts.width, facts.height) == (seen.width, seen.height) == (WIDTH, HEIGHT)
    assert facts.content_type == seen.content_type
    with Image.open(path) as image:
        assert image.info["icc_profile"] == PROFILE
    assert normalize(path) is False


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_note_that_means_nothing_turns_nothing(tmp_path: Path, value: object) -> None:
    path = put(tmp_path, "JPEG", PICTURE, exif=noted(value))
    before = path.read_bytes()
    assert normalize(path) is False
    assert path.read_bytes() == before


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_notes_turn_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, "JPEG", PICTURE, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert normalize(path) is False


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P"])
def test_an_ordinary_picture_keeps_its_bytes(tmp_path: Path, mode: str) -> None:
    path = put(tmp_path, "PNG", PICTURE.convert(mode))
    before = path.read_bytes()
    assert normalize(path) is False
    assert path.read_bytes() == before


def test_a_picture_for_print_becomes_one_for_screens(tmp_path: Path) -> None:
    path = put(tmp_path, "JPEG", PICTURE.convert("CMYK"), icc_profile=b"not a profile")
    assert normalize(path) is True
    assert colors(path) == ["red", "blue"]
    with Image.open(path) as image:
        assert (image.format, image.mode, "icc_profile" in image.info) == ("JPEG", "RGB", False)


def test_sixteen_bits_of_gray_are_not_taken_for_white(tmp_path: Path) -> None:
    deep = Image.new("I;16", (WIDTH, HEIGHT), 20_000)
    path = put(tmp_path, "PNG", deep)
    assert normalize(path) is True
    with Image.open(path) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("L", 20_000 // 256)


@pytest.mark.parametrize("form", ["palette with alphas", "palette with one color", "gray with one color"])
def test_transparency_becomes_a_channel_so_that_it_can_be_a_mask(tmp_path: Path, form: str) -> None:
    picture = PICTURE.convert("L" if form.startswith("gray") else "P")
    corner = int(str(picture.getpixel((0, 0))))
    alphas = bytes(0 if index == corner else 255 for index in range(256))
    path = put(tmp_path, "PNG", picture, transparency=alphas if form == "palette with alphas" else corner)
    assert _inspect(path).has_alpha is False

    assert normalize(path) is True
    assert _inspect(path).has_alpha is True
    with Image.open(path) as image:
        shown = image.getchannel("A")
    assert [shown.getpixel((x, 1)) for x in (1, WIDTH - 2)] == [0, 255]


def test_what_is_no_picture_is_unusable(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(b"<html>")
    with pytest.raises(ResultUnusable):
        normalize(path)


def test_pictures_of_several_views_are_turned_too(tmp_path: Path) -> None:
    """Turn a phone's picture that has a second view, for depth, behind the first."""
    file = io.BytesIO()
    stored = PICTURE.transpose(STORED[6] or Image.Transpose.ROTATE_90)
    stored.save(file, "MPO", save_all=True, append_images=[stored], exif=noted(6))
    path = tmp_path / "picture"
    path.write_bytes(file.getvalue())

    assert normalize(path) is True
    assert colors(path) == ["red", "blue"]
    assert _inspect(path).content_type == "image/jpeg"
