"""Metadata goes, pixels stay: the stripped file decodes to the same picture, for every format and form."""

import io
import struct
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from tests.unit.adapters.images.child.carriers import (
    CARRIERS,
    FRAMES,
    HTML,
    PROFILE,
    SECRET,
    ZIP,
    exif,
    pixels,
    prepared,
    shown,
    stripped,
    texts,
)
from tests.unit.adapters.images.pictures import (
    NOISE,
    jpeg_segment,
    jumbf,
    png_chunk,
    riff_chunk,
    saved,
    webp_of,
)


@pytest.mark.parametrize("tail", [b"", HTML, ZIP, b"\0", saved("PNG"), saved("JPEG", comment=SECRET)])
@pytest.mark.parametrize("name", CARRIERS)
def test_what_is_stripped_shows_the_same_and_says_nothing(name: str, tail: bytes) -> None:
    content = CARRIERS[name] + tail
    assert SECRET in content
    found = stripped(content)

    assert shown(found) == shown(CARRIERS[name])
    assert SECRET not in found
    assert len(found) < len(content)
    assert stripped(found) == found


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turn_stays_and_nothing_else_of_its_notes(kind: str, orientation: int) -> None:
    content = saved(kind, exif=exif(orientation), icc_profile=PROFILE)
    found = stripped(content, orientation)

    assert shown(found) == shown(content)
    with Image.open(io.BytesIO(found)) as image:
        assert dict(image.getexif()) == ({ExifTags.Base.Orientation: orientation} if orientation > 1 else {})
    assert SECRET not in found


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_without_metadata_keeps_every_byte(kind: str) -> None:
    content = saved(kind)
    assert stripped(content) == content


def test_every_segment_that_may_hold_metadata_is_looked_at() -> None:
    content = saved("JPEG")
    notes = b"".join(jpeg_segment(marker, SECRET) for marker in (*range(0xE0, 0xF0), 0xFE))
    thumbnail = jpeg_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\5\1" + SECRET)
    adobe = jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET)
    found = stripped(content[:2] + thumbnail + adobe + notes + content[20:])

    assert SECRET not in found
    assert b"JFIF\0\1\1\0\0\1\0\1\0\0\xff" in found
    assert b"Adobe\0\x64\0\0\0\0\1\xff" in found


def test_bytes_between_segments_are_in_none() -> None:
    content = saved("JPEG", progressive=True)
    scans = content.replace(b"\xff\xda", b"\xff" * 9 + b"\xda")
    filled = scans[:2] + b"\xff" * 50 + scans[2:]
    assert content.count(b"\xff\xda") > 3

    assert shown(stripped(filled)) == shown(filled) == shown(content)
    # Those behind a scan cannot be told from it, and say nothing.
    assert b"\xff" * 50 not in stripped(filled)
    assert stripped(content[:2] + SECRET + content[2:]) == content


def test_notes_between_scans_go() -> None:
    content = saved("JPEG", progressive=True)
    place = content.rindex(b"\xff\xc4")
    assert content.index(b"\xff\xda") < place
    notes = jpeg_segment(0xE1, SECRET) + jpeg_segment(0xFE, SECRET)

    assert stripped(content[:place] + notes + content[place:]) == content


def test_a_damaged_scan_is_kept_as_decoders_read_it() -> None:
    """Put what looks like segments into the pixels."""
    content = saved("JPEG", restart_marker_blocks=1, exif=exif())
    place = content.index(b"\xff\xd1") + 20
    damaged = content[:place] + b"\xff\x70\0\x40" + content[place + 4 :] + HTML
    found = stripped(damaged)

    assert pixels(found) == pixels(damaged) != pixels(content)
    assert SECRET not in found


@pytest.mark.parametrize(
    "kind", [b"tEXt", b"tIME", b"sPLT", b"hIST", b"eXIf", b"caBX", b"prVt", b"gAMA", b"pHYs"]
)
def test_chunks_that_are_not_known_or_too_long_for_what_they_are_go(kind: bytes) -> None:
    content = saved("PNG")
    found = stripped(
        content[:33] + png_chunk(kind, SECRET * 9) + content[33:-12] + png_chunk(b"IEND", SECRET)
    )
    assert found == content


def test_chunks_that_a_picture_needs_stay() -> None:
    content = saved("PNG")
    kept = (
        png_chunk(b"gAMA", b"\0\0\xb1\x8f") + png_chunk(b"cICP", b"\x09\x10\0\1") + png_chunk(b"sRGB", b"\0")
    )
    assert stripped(content[:33] + kept + content[33:]) == content[:33] + kept + content[33:]


def test_a_webp_says_what_it_still_has() -> None:
    content = saved("WEBP", NOISE.convert("RGBA"), exif=exif(), xmp=SECRET, icc_profile=PROFILE)
    found, turned = stripped(content), stripped(content, 6)

    assert [content[20], found[20], turned[20]] == [0x2C, 0x20, 0x28]
    for each in (found, turned):
        assert struct.unpack("<I", each[4:8]) == (len(each) - 8,)


def test_a_webp_hides_nothing_in_its_frames() -> None:
    content = saved("WEBP", save_all=True, append_images=FRAMES, duration=70)
    place = content.index(b"ANMF")
    [length] = struct.unpack("<I", content[place + 4 : place + 8])
    frame = content[place + 8 : place + 8 + length] + riff_chunk(b"XMP ", SECRET)
    rest = content[place + 8 + length + length % 2 :]
    hiding = webp_of(content[12:place], riff_chunk(b"ANMF", frame), rest, riff_chunk(b"JUNK", SECRET))

    assert shown(hiding) == shown(content)
    assert stripped(hiding) == content


MANIFESTS = {
    "PNG": (lambda box: (c := saved("PNG", pnginfo=texts()))[:33] + png_chunk(b"caBX", box) + c[33:]),
    "JPEG": (
        lambda box: (
            (c := saved("JPEG", exif=exif()))[:2] + jpeg_segment(0xEB, b"JP\0\1\0\0\0\1" + box) + c[2:]
        )
    ),
    "WebP": (lambda box: webp_of(saved("WEBP", exif=exif())[12:], riff_chunk(b"C2PA", box))),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_what_is_signed_is_left_as_it_came_and_a_name_alone_signs_nothing(kind: str, tmp_path: Path) -> None:
    signed = MANIFESTS[kind](jumbf()) + HTML
    reply = prepared(tmp_path, signed)

    assert (reply.is_rewritten, reply.facts and reply.facts.size_bytes) == (False, len(signed))
    for box in (b"", b"c2pa", jumbf(b"cbor"), SECRET):
        found = stripped(MANIFESTS[kind](box) + HTML)
        assert SECRET not in found
        assert b"c2pa" not in found
