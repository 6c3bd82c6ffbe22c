"""The type of an image is found by decoding it, whatever it is called."""

import hashlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from adapters.images.decoder_pool import DecoderPool
from adapters.images.inspector import PooledInspector
from adapters.images.messages import DecodeLimits
from domain.errors import ImageDecoderUnavailable, ResultUnusable
from domain.input_files import ImageFacts
from tests.support.time_limits import scaled

LARGEST_PIXELS = 1_000_000
SIZE = (96, 64)
# Noise, so that half of the bytes is half of the picture.
PICTURE = Image.merge("RGB", [Image.effect_noise(SIZE, 80)] * 3)


def saved(kind: str, picture: Image.Image = PICTURE, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


PNG, JPEG, WEBP = saved("PNG"), saved("JPEG"), saved("WEBP")
IEND = b"\0\0\0\0IEND\xaeB`\x82"


class Inspector:
    """Returns the facts alone."""

    def __init__(self, pool: DecoderPool) -> None:
        self._inspector = PooledInspector(pool, is_stripped=False)

    async def inspect(self, path: Path) -> ImageFacts:
        async with self._inspector.prepare_image(path, "ten_1") as image:
            assert image.path == path
            assert image.source_sha256 == image.facts.sha256
            return image.facts


def decoders(max_pixels: int = LARGEST_PIXELS) -> DecoderPool:
    return DecoderPool(
        DecodeLimits(max_pixels, 512_000_000, 10), children=1, max_waiting=9, wait_seconds=scaled(60)
    )


@pytest.fixture(scope="module")
async def inspector() -> AsyncIterator[Inspector]:
    async with decoders() as pool:
        yield Inspector(pool)


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    def put(content: bytes, name: str = "a") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return put


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (saved("PNG", PICTURE.convert("P")), "image/png"),
        (saved("PNG", PICTURE.convert("RGBA")), "image/png"),
        (saved("PNG", PICTURE.convert("1")), "image/png"),
        (saved("PNG", save_all=True, append_images=[PICTURE.rotate(180)]), "image/png"),
        (saved("JPEG", progressive=True), "image/jpeg"),
        (saved("JPEG", PICTURE.convert("L")), "image/jpeg"),
        (saved("JPEG", PICTURE.convert("CMYK")), "image/jpeg"),
        (saved("MPO", save_all=True, append_images=[PICTURE.rotate(180)]), "image/jpeg"),
        (saved("WEBP", lossless=True), "image/webp"),
        (saved("WEBP", save_all=True, append_images=[PICTURE.rotate(180)]), "image/webp"),
    ],
    ids=range(13),
)
async def test_a_whole_image_is_described_as_it_is(
    inspector: Inspector, put: Callable[..., Path], content: bytes, content_type: str
) -> None:
    facts = await inspector.inspect(put(content))

    digest = hashlib.sha256(content).hexdigest()
    assert replace(facts, has_alpha=False) == ImageFacts(96, 64, content_type, len(content), digest)


@pytest.mark.parametrize(
    ("kind", "mode", "has_alpha"),
    [
        ("PNG", "RGBA", True),
        ("PNG", "LA", True),
        ("WEBP", "RGBA", True),
        ("PNG", "RGB", False),
        ("PNG", "P", False),
        ("JPEG", "L", False),
        ("WEBP", "RGB", False),
    ],
)
async def test_an_alpha_channel_is_seen(
    inspector: Inspector, put: Callable[..., Path], kind: str, mode: str, has_alpha: bool
) -> None:
    picture = PICTURE.convert(mode) if mode in ("P", "L", "RGB") else PICTURE.convert("RGBA").convert(mode)
    if has_alpha:
        picture.putalpha(Image.linear_gradient("L").resize(SIZE))

    assert (await inspector.inspect(put(saved(kind, picture)))).has_alpha is has_alpha


@pytest.mark.parametrize("name", ["a.jpg", "a.html", "a.svg", "a.gif", "a.png.exe", "A"])
async def test_a_lying_name_changes_nothing(
    inspector: Inspector, put: Callable[..., Path], name: str
) -> None:
    assert (await inspector.inspect(put(PNG, name))).content_type == "image/png"


HALVES = {
    f"half a {name}": whole[: len(whole) // 2]
    for name, whole in {
        "PNG": PNG,
        "JPEG": JPEG,
        "progressive JPEG": saved("JPEG", progressive=True),
        "WebP": WEBP,
    }.items()
}
UNUSABLE = {
    "nothing": b"",
    "one byte": b"\x89",
    "HTML": b"<!doctype html><html><script>alert(1)</script></html>",
    "JSON": b'{"error": "expired"}',
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "PDF": b"%PDF-1.7\n%%EOF",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n",
    "ZIP": b"PK\x03\x04" + b"\0" * 100,
    **{kind: saved(kind) for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "JPEG2000")},
    "GIF and script": b"GIF89a/*" + saved("GIF")[8:] + b"*/=1;alert(1)",
    "a PNG's head alone": PNG[:33],
    **HALVES,
    "JPEG without its last two bytes": JPEG[:-2],
    "progressive JPEG without its last two bytes": saved("JPEG", progressive=True)[:-2],
    "WebP without its last byte": WEBP[:-1],
    "PNG without its end": PNG[: -len(IEND)],
    "PNG with a wrong checksum": PNG[:40] + bytes([PNG[40] ^ 255]) + PNG[41:],
    "PNG under another signature": b"\xff\xd8\xff\xe0" + PNG[4:],
    "PNG of no size": PNG[:16] + b"\0" * 8 + PNG[24:],
    "HTML before a PNG": b"<html>" + PNG,
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE)
async def test_anything_else_is_unusable(
    inspector: Inspector, put: Callable[..., Path], content: bytes
) -> None:
    with pytest.raises(ResultUnusable):
        await inspector.inspect(put(content, "a.png"))


def test_the_table_ends_where_images_end() -> None:
    assert PNG.endswith(IEND)
    assert JPEG.endswith(b"\xff\xd9")


@pytest.mark.parametrize("size", [(1000, 1000), (1_000_000, 1), (1, 60_000)])
async def test_the_cap_counts_pixels_and_admits_itself(
    inspector: Inspector, put: Callable[..., Path], size: tuple[int, int]
) -> None:
    facts = await inspector.inspect(put(saved("PNG", Image.new("1", size))))

    assert (facts.width, facts.height) == size


def without_pixels(content: bytes) -> bytes:
    """Return a PNG whose parts are whole, and whose pixels cannot be decoded."""
    return content[:60] + bytes(len(content) - 60 - len(IEND)) + content[-len(IEND) :]


@pytest.mark.parametrize("size", [(1001, 1000), (12_000, 12_000), (65_000, 65)])
async def test_more_pixels_than_the_cap_are_refused_before_they_are_decoded(
    inspector: Inspector, put: Callable[..., Path], size: tuple[int, int]
) -> None:
    with pytest.raises(ResultUnusable, match="pixels"):
        await inspector.inspect(put(without_pixels(saved("PNG", Image.new("1", size)))))


async def test_the_memory_limit_holds_under_any_cap_of_pixels(put: Callable[..., Path]) -> None:
    bomb = put(saved("PNG", Image.new("1", (12_000, 12_000))))
    async with decoders(10**9) as pool:
        assert (await Inspector(pool).inspect(bomb)).width == 12_000
        with pytest.raises(ResultUnusable, match="takes over 512000000 bytes"):
            await Inspector(pool).inspect(put(without_pixels(saved("PNG", Image.new("1", (30_000, 18_000))))))


async def test_a_file_that_is_not_there_says_nothing_of_its_image(
    inspector: Inspector, tmp_path: Path
) -> None:
    with pytest.raises(ImageDecoderUnavailable):
        await inspector.inspect(tmp_path / "gone")


@pytest.mark.parametrize("chunk", ["zTXt", "iTXt", "iCCP"])
async def test_metadata_of_megabytes_is_no_reason_to_refuse(
    inspector: Inspector, put: Callable[..., Path], chunk: str
) -> None:
    text, info = "x" * 3_000_000, PngInfo()
    options: dict[str, Any] = {"pnginfo": info}
    if chunk == "zTXt":
        info.add_text("workflow", text, zip=True)
    elif chunk == "iTXt":
        info.add_itxt("workflow", text, zip=True)
    else:
        options["icc_profile"] = text.encode()
    content = saved("PNG", **options)
    assert chunk.encode() in content
    assert (await inspector.inspect(put(content))).width == SIZE[0]


async def test_a_png_that_ends_inside_its_metadata_is_refused(
    inspector: Inspector, put: Callable[..., Path]
) -> None:
    info = PngInfo()
    info.add_text("workflow", "x" * 100_000)
    content = saved("PNG", pnginfo=info)
    with pytest.raises(ResultUnusable):
        await inspector.inspect(put(content[: content.index(b"tEXt") + 1000]))
