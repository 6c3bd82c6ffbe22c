"""Metadata goes, pixels stay: the stripped file decodes to the same picture, for every format and form."""

import io
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from adapters.images.child.containers import MAX_PARTS
from adapters.images.child.metadata import without_metadata
from adapters.images.child.preparation import prepare
from adapters.images.messages import DecodeReply
from domain.errors import ResultUnusable
from tests.unit.adapters.images.pictures import (
    NOISE,
    jpeg_segment,
    jumbf,
    png_chunk,
    riff_chunk,
    saved,
    webp_of,
)

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SECRET = b"51.4778N secret"
HTML = b"<html><script>alert('" + SECRET + b"')</script>"
ZIP = b"PK\x03\x04" + SECRET + b"PK\x05\x06" + bytes(18)
FRAMES = [NOISE.rotate(90 * turn) for turn in (1, 2, 3)]


def exif(orientation: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[ExifTags.Base.Make] = SECRET.decode()
    found[ExifTags.Base.Orientation] = orientation
    found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = SECRET.decode()
    return found


def texts() -> PngInfo:
    info = PngInfo()
    info.add_text("parameters", SECRET.decode())
    info.add_text("workflow", SECRET.decode(), zip=False)
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    return info


def stripped(content: bytes, orientation: int = 1) -> bytes:
    pieces = without_metadata(memoryview(content), orientation)
    assert pieces is not None
    return b"".join(pieces)


def shown(content: bytes) -> list[object]:
    """Return everything that a viewer shows: each frame's pixels, sizes, color profile and resolution."""
    found: list[object] = []
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
        for frame in range(1 if image.format == "MPO" else getattr(image, "n_frames", 1)):
            image.seek(frame)
            image.load()
            found += [image.mode, image.size, image.info.get("duration"), image.tobytes()]
        found += [image.info.get(name) for name in ("icc_profile", "transparency", "gamma", "loop")]
        # What Pillow says of a file with EXIF and without a resolution.
        found.append(None if image.info.get("dpi") == (72, 72) else image.info.get("dpi"))
        found.append(image.getexif().get(ExifTags.Base.Orientation, 1))
    return found


CARRIERS = {
    "PNG": saved("PNG", exif=exif(), pnginfo=texts(), icc_profile=PROFILE, dpi=(300, 300)),
    "PNG with alpha": saved("PNG", NOISE.convert("RGBA"), pnginfo=texts()),
    "PNG with a palette": saved("PNG", NOISE.convert("P"), pnginfo=texts(), transparency=3),
    "PNG of 16 bits": saved("PNG", Image.new("I;16", (96, 64), 20_000), pnginfo=texts()),
    "PNG of one bit": saved("PNG", NOISE.convert("1"), pnginfo=texts()),
    "APNG": saved("PNG", pnginfo=texts(), save_all=True, append_images=FRAMES, duration=70, loop=2),
    "JPEG": saved("JPEG", exif=exif(), comment=SECRET, icc_profile=PROFILE, dpi=(300, 300)),
    "progressive JPEG": saved("JPEG", progressive=True, exif=exif(), comment=SECRET),
    "JPEG with restarts": saved("JPEG", restart_marker_blocks=1, exif=exif(), comment=SECRET),
    "progressive JPEG with restarts": saved("JPEG", progressive=True, restart_marker_rows=1, exif=exif()),
    "gray JPEG": saved("JPEG", NOISE.convert("L"), exif=exif(), comment=SECRET),
    "CMYK JPEG": saved(
        "JPEG", NOISE.convert("CMYK"), exif=exif(), comment=SECRET, icc_profile=b"p" * 100_000
    ),
    "JPEG with XMP": saved("JPEG", xmp=SECRET),
    "MPO": saved("MPO", save_all=True, append_images=FRAMES, exif=exif()),
    "WebP": saved("WEBP", exif=exif(), xmp=SECRET, icc_profile=PROFILE),
    "lossless WebP": saved("WEBP", NOISE.convert("RGBA"), lossless=True, exif=exif(), xmp=SECRET),
    "WebP with alpha": saved("WEBP", NOISE.convert("RGBA"), exif=exif(), xmp=SECRET),
    "animated WebP": saved("WEBP", save_all=True, append_images=FRAMES, duration=70, xmp=SECRET, exif=exif()),
}


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


def prepared(folder: Path, content: bytes, *, is_upright_wanted: bool = False) -> DecodeReply:
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    target.write_bytes(b"")
    return prepare(
        source,
        target,
        max_pixels=1_000_000,
        memory_bytes=512_000_000,
        is_upright_wanted=is_upright_wanted,
        is_stripped=True,
    )


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


def pixels(content: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
        return image.mode, image.size, image.tobytes()


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
