"""An image on its way into storage. One whose parts lie is unusable, or shows what it showed before."""

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.images.child.containers import MAX_PARTS
from adapters.images.child.metadata import without_metadata
from domain.errors import ResultUnusable
from tests.unit.adapters.images.child.carriers import CARRIERS, HTML, SECRET, exif, pixels, prepared, stripped
from tests.unit.adapters.images.pictures import jpeg_segment, png_chunk, riff_chunk, saved, webp_of


def repeated(part: bytes, count: int = MAX_PARTS) -> bytes:
    return part * count


PNG, JPEG, WEBP = saved("PNG"), saved("JPEG"), saved("WEBP", exif=exif())
BROKEN = {
    "a PNG chunk that ends behind the file": PNG[:33] + struct.pack(">I", 1 << 31) + PNG[37:],
    "a PNG chunk that is shorter than it says": PNG[:33] + struct.pack(">I", 7) + b"tEXtab" + PNG[33:],
    "a PNG of thousands of chunks": PNG[:33] + repeated(png_chunk(b"prVt")) + PNG[33:],
    "a JPEG segment of no length": JPEG[:2] + b"\xff\xe1\0\0" + JPEG[2:],
    "a JPEG segment that ends behind the file": JPEG[:2] + b"\xff\xe1\xff\xff" + JPEG[2:],
    "a JPEG that ends in a segment's length": JPEG[:2] + b"\xff\xe1\0",
    "a JPEG of thousands of segments": JPEG[:2] + repeated(jpeg_segment(0xFE, b"")) + JPEG[2:],
    "a JPEG without an end": JPEG[:-2],
    "a WebP longer than its file": WEBP[:4] + struct.pack("<I", len(WEBP)) + WEBP[8:],
    "a WebP chunk that ends behind the file": webp_of(WEBP[12:], struct.pack("<4sI", b"XMP ", 1 << 31)),
    "a WebP that ends in a chunk's name": webp_of(WEBP[12:], b"XM"),
    "a WebP of thousands of chunks": webp_of(WEBP[12:], repeated(riff_chunk(b"JUNK", b""))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_parts_that_lie_make_an_image_unusable(name: str, tmp_path: Path) -> None:
    with pytest.raises(ResultUnusable):
        prepared(tmp_path, BROKEN[name])
    with pytest.raises(ResultUnusable):
        without_metadata(memoryview(BROKEN[name]), 1)


def test_a_run_of_fill_bytes_is_read_once() -> None:
    """Megabytes of them would take hours if each were tried as a beginning."""
    content = JPEG[:-2] + b"\xff" * 3_000_000 + b"\0" + b"\xff\0" * 1_000_000 + b"\xff\xd9" + HTML
    assert len(stripped(content)) == len(content) - len(HTML)


@given(st.data())
def test_no_damage_does_more_than_make_an_image_unusable(data: st.DataObject) -> None:
    content = bytearray(CARRIERS[data.draw(st.sampled_from(sorted(CARRIERS)))])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 9))
        content[place : place + length] = data.draw(st.binary(max_size=9))
    try:
        found = without_metadata(memoryview(content), data.draw(st.integers(0, 9)))
    except ResultUnusable:
        return
    if found is not None:
        again = without_metadata(memoryview(b"".join(found)), 1)
        assert again is None or sum(map(len, again)) <= len(content) + 64


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_image_that_is_accepted_shows_the_same_as_before(data: st.DataObject) -> None:
    content = bytearray(CARRIERS[data.draw(st.sampled_from(sorted(CARRIERS)))])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with TemporaryDirectory() as folder:
        try:
            reply = prepared(Path(folder), bytes(content))
        except ResultUnusable:
            return
        if reply.is_rewritten:
            assert pixels((Path(folder) / "target").read_bytes()) == pixels(bytes(content))


def test_a_photograph_of_a_client_is_upright_and_says_nothing(tmp_path: Path) -> None:
    content = saved("JPEG", exif=exif(6), comment=SECRET, xmp=SECRET)
    reply = prepared(tmp_path, content, is_upright_wanted=True)
    found = (tmp_path / "target").read_bytes()

    assert reply.facts is not None
    assert (reply.is_rewritten, reply.facts.width, reply.facts.height) == (True, 64, 96)
    assert reply.facts.size_bytes == len(found)
    assert SECRET not in found
    assert (tmp_path / "source").read_bytes() == content


def test_a_result_that_lies_on_its_side_is_described_as_it_is_seen(tmp_path: Path) -> None:
    reply = prepared(tmp_path, saved("JPEG", exif=exif(6)))
    assert reply.facts is not None
    assert (reply.facts.width, reply.facts.height) == (64, 96)
    assert SECRET not in (tmp_path / "target").read_bytes()
