"""Metadata out of image files, without decoding: parts are left out, and no other byte changes.

What stays is what the picture looks like: pixels, color profile, orientation, resolution, animation. EXIF,
XMP, IPTC, comments, texts, previews, and whatever stands behind the end go. docs/images.md has the table.
"""

import struct
import zlib
from collections.abc import Iterator

from adapters.images.child.containers import (
    EOI,
    GAP,
    PNG_SIGNATURE,
    SOS,
    Buffer,
    MalformedError,
    Part,
    jpeg_segments,
    png_chunks,
    riff_chunks,
    webp_body,
)
from domain.errors import ResultUnusable

# Each with its largest size where the format fixes one, so that nothing else is carried along in it.
_PNG_KEPT = {
    b"IHDR": 13, b"PLTE": 768, b"tRNS": 256, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"iCCP": None, b"cICP": 4,
    b"mDCV": 24, b"cLLI": 8, b"sBIT": 4, b"bKGD": 6, b"pHYs": 9, b"acTL": 8, b"fcTL": 26, b"fdAT": None,
    b"IDAT": None,
}  # fmt: skip
_WEBP_KEPT = (b"VP8X", b"ICCP", b"ANIM", b"ALPH", b"VP8 ", b"VP8L")
_FRAME_HEAD_BYTES = 16
_VP8X_EXIF, _VP8X_XMP = 0x08, 0x04
_APP0, _APP1, _APP2, _APP11, _APP14, _COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE, 0xFE
_METADATA_SEGMENTS = (*range(_APP0, 0xF0), _COM)
# Besides scans: tables, restart intervals, a late height, and the end.
_BETWEEN_SCANS = (SOS, EOI, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD, *_METADATA_SEGMENTS)
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
_TURNED = range(2, 9)
_MANIFEST = b"jumb", b"jumdc2pa"


def without_metadata(content: memoryview, orientation: int) -> list[Buffer] | None:
    """Return the file in pieces; None if it has a C2PA manifest, which signs every byte.

    orientation: kept in a small EXIF of its own, if it is a turn. Raises ResultUnusable for a file that
    decodes, and whose parts cannot be told apart all the same.
    """
    try:
        if bytes(content[:8]) == PNG_SIGNATURE:
            parts = list(png_chunks(content))
            return None if any(map(_is_png_manifest, parts)) else list(_png(parts, orientation))
        if bytes(content[:4]) == b"RIFF":
            parts = list(riff_chunks(webp_body(content)))
            return None if any(map(_is_webp_manifest, parts)) else _webp(parts, orientation)
        parts = list(jpeg_segments(content))
        return None if any(map(_is_jpeg_manifest, parts)) else list(_jpeg(parts, orientation))
    except (MalformedError, struct.error) as error:
        raise ResultUnusable(f"an image with broken parts: {error}") from error


def _png(parts: list[Part], orientation: int) -> Iterator[Buffer]:
    yield PNG_SIGNATURE
    for chunk in parts:
        if chunk.kind == b"IDAT" and orientation in _TURNED:
            yield _png_chunk(b"eXIf", _exif(orientation))
            orientation = 1
        if chunk.kind in _PNG_KEPT and len(chunk.body) <= (_PNG_KEPT[chunk.kind] or len(chunk.body)):
            yield chunk.whole
    yield _png_chunk(b"IEND", b"")


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _jpeg(parts: list[Part], orientation: int) -> Iterator[Buffer]:
    yield b"\xff\xd8"
    kinds = [part.kind[0] for part in parts]
    first_scan = kinds.index(SOS) if SOS in kinds else len(parts)
    for segment in parts[:first_scan]:
        if segment.kind == GAP:
            continue
        if orientation in _TURNED and segment.kind[0] != _APP0:
            yield _jpeg_segment(_APP1, b"Exif\0\0" + _exif(orientation))
            orientation = 1
        if segment.kind[0] in _METADATA_SEGMENTS:
            yield from _kept_of_metadata(segment)
        else:
            yield segment.whole
    yield from _scans(parts[first_scan:])


def _scans(parts: list[Part]) -> Iterator[Buffer]:
    """Return the scans without the metadata between them.

    In a damaged one, what looks like a segment may be pixels, which decoders make the best of: it is kept.
    """
    is_damaged = any(part.kind[0] not in _BETWEEN_SCANS and not _is_fill(part) for part in parts)
    for part in parts:
        if is_damaged or part.kind[0] not in (GAP[0], *_METADATA_SEGMENTS):
            yield part.whole


def _is_fill(part: Part) -> bool:
    return part.kind == GAP and not bytes(part.whole).strip(b"\xff")


def _kept_of_metadata(segment: Part) -> Iterator[Buffer]:
    """Return what a decoder needs of it: the density, the profile, how colors are transformed."""
    marker, body = segment.kind[0], segment.body
    name = bytes(body[:12])
    if marker == _APP0 and name[:5] == b"JFIF\0" and len(body) >= _JFIF_BYTES:
        yield _jpeg_segment(_APP0, bytes(body[: _JFIF_BYTES - 2]) + b"\0\0")  # no preview
    elif marker == _APP2 and name == b"ICC_PROFILE\0":
        yield segment.whole
    elif marker == _APP14 and name[:5] == b"Adobe" and len(body) >= _ADOBE_BYTES:
        yield _jpeg_segment(_APP14, bytes(body[:_ADOBE_BYTES]))


def _jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def _webp(parts: list[Part], orientation: int) -> list[Buffer]:
    pieces: list[Buffer] = []
    is_turned = orientation in _TURNED and parts[0].kind == b"VP8X"
    for chunk in parts:
        if chunk.kind == b"VP8X":
            flags = chunk.body[0] & ~(_VP8X_EXIF | _VP8X_XMP) | (_VP8X_EXIF if is_turned else 0)
            pieces.append(_riff_chunk(b"VP8X", bytes([flags]) + bytes(chunk.body[1:10])))
        elif chunk.kind == b"ANMF":
            pieces.append(_frame(chunk))
        elif chunk.kind in _WEBP_KEPT:
            pieces.append(_padded(chunk))
    if is_turned:
        pieces.append(_riff_chunk(b"EXIF", _exif(orientation)))
    size = 4 + sum(len(piece) for piece in pieces)
    return [struct.pack("<4sI4s", b"RIFF", size, b"WEBP"), *pieces]


def _frame(chunk: Part) -> bytes:
    inside = riff_chunks(chunk.body[_FRAME_HEAD_BYTES:])
    kept = b"".join(_padded(part) for part in inside if part.kind in _WEBP_KEPT)
    return _riff_chunk(b"ANMF", bytes(chunk.body[:_FRAME_HEAD_BYTES]) + kept)


def _padded(chunk: Part) -> Buffer:
    return bytes(chunk.whole) + b"\0" if len(chunk.whole) % 2 else chunk.whole


def _riff_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)


def _exif(orientation: int) -> bytes:
    """Return the shortest EXIF: one directory with this one entry."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def _is_png_manifest(chunk: Part) -> bool:
    return chunk.kind == b"caBX" and _is_manifest(chunk.body)


def _is_webp_manifest(chunk: Part) -> bool:
    return chunk.kind == b"C2PA" and _is_manifest(chunk.body)


def _is_jpeg_manifest(segment: Part) -> bool:
    # Behind the name: which box this is a piece of, and the number of the piece.
    return segment.kind[0] == _APP11 and bytes(segment.body[:2]) == b"JP" and _is_manifest(segment.body[8:])


def _is_manifest(box: memoryview) -> bool:
    """Return whether a JUMBF box says that it is a C2PA manifest; its name alone does not make it one."""
    return (bytes(box[4:8]), bytes(box[12:20])) == _MANIFEST
