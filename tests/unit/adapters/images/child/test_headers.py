"""What an image takes to decode is told by its header: no less than a decoder then really takes."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adapters.images.child.containers import MalformedError
from adapters.images.child.headers import Header, check_header, read_header
from domain.errors import ResultUnusable
from tests.unit.adapters.images.pictures import NOISE, png_chunk, saved, webp_bomb

APNG = saved("PNG", save_all=True, append_images=[NOISE.rotate(180)])
PICTURES = {
    "PNG": (saved("PNG"), 4),
    "PNG with alpha": (saved("PNG", NOISE.convert("RGBA")), 4),
    "gray PNG with alpha": (saved("PNG", NOISE.convert("LA")), 4),
    "gray PNG": (saved("PNG", NOISE.convert("L")), 1),
    "PNG of one bit": (saved("PNG", NOISE.convert("1")), 1),
    "PNG of 16 bits": (saved("PNG", Image.new("I;16", (96, 64))), 2),
    "PNG with a palette": (saved("PNG", NOISE.convert("P")), 1),
    "APNG": (APNG, 12),
    "JPEG": (saved("JPEG"), 4),
    "gray JPEG": (saved("JPEG", NOISE.convert("L")), 1),
    "CMYK JPEG": (saved("JPEG", NOISE.convert("CMYK")), 4),
    "progressive JPEG": (saved("JPEG", progressive=True, subsampling=0), 10),
    "progressive JPEG of fewer colors": (saved("JPEG", progressive=True, subsampling=2), 7),
    "progressive gray JPEG": (saved("JPEG", NOISE.convert("L"), progressive=True), 3),
    "WebP": (saved("WEBP"), 20),
    "lossless WebP": (saved("WEBP", lossless=True), 20),
    "WebP with a profile": (saved("WEBP", icc_profile=b"profile"), 20),
    "animated WebP": (saved("WEBP", save_all=True, append_images=[NOISE.rotate(180)]), 20),
}


@pytest.mark.parametrize("name", PICTURES)
def test_size_and_memory_are_read(name: str) -> None:
    content, bytes_per_pixel = PICTURES[name]
    assert read_header(memoryview(content)) == Header(96, 64, bytes_per_pixel)


@pytest.mark.parametrize("name", PICTURES)
def test_limits_admit_themselves(name: str) -> None:
    content, bytes_per_pixel = PICTURES[name]
    needed = 96 * 64 * bytes_per_pixel

    check_header(memoryview(content), max_pixels=96 * 64, memory_bytes=needed)
    with pytest.raises(ResultUnusable, match="over 6143 pixels"):
        check_header(memoryview(content), max_pixels=96 * 64 - 1, memory_bytes=needed)
    with pytest.raises(ResultUnusable, match=f"over {needed - 1} bytes"):
        check_header(memoryview(content), max_pixels=96 * 64, memory_bytes=needed - 1)


def test_a_few_bytes_may_stand_for_many_pixels() -> None:
    content = webp_bomb(6300, 6300)
    assert len(content) < 60
    assert read_header(memoryview(content)) == Header(6300, 6300, 20)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_no_pixels_are_no_image(size: tuple[int, int]) -> None:
    content = saved("PNG")
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    with pytest.raises(ResultUnusable, match="no pixels"):
        check_header(memoryview(content[:8] + header + content[33:]), max_pixels=9, memory_bytes=9)


@pytest.mark.parametrize(
    "content", [saved("PNG"), saved("JPEG"), saved("WEBP"), saved("WEBP", xmp=b"x"), b""]
)
def test_a_part_of_an_image_raises_nothing_else(content: bytes) -> None:
    for length in range(min(len(content), 800)):
        try:
            read_header(memoryview(content[:length]))
        except (MalformedError, struct.error, IndexError):
            continue


@pytest.mark.slow
@pytest.mark.parametrize("size", [(5000, 8000)])
@pytest.mark.parametrize(
    "make",
    [
        lambda size: saved("PNG", Image.new("RGBA", size, "red"), compress_level=1),
        lambda size: saved("PNG", Image.new("I;16", size, 20_000)),
        lambda size: saved("JPEG", Image.new("RGB", size, "red"), progressive=True, subsampling=0),
        lambda size: saved("JPEG", Image.new("CMYK", size, "red"), progressive=True, subsampling=0),
    ],
    ids=["RGBA PNG", "PNG of 16 bits", "progressive JPEG", "CMYK JPEG"],
)
def test_forty_megapixels_fit_into_the_default(
    make: Callable[[tuple[int, int]], bytes], size: tuple[int, int], tmp_path: Path
) -> None:
    check_header(memoryview(make(size)), max_pixels=40_000_000, memory_bytes=512_000_000)
