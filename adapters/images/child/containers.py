"""The parts that image files consist of, found in one pass, without decoding any.

A file has at most `MAX_PARTS`: each costs a step in Python, and 50 MB could hold millions of empty ones.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Buffer = bytes | memoryview
MAX_PARTS = 65_536

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
# The kind of bytes between segments, which is no marker.
GAP = b"\0"
_WITHOUT_LENGTH = (0x01, SOI, EOI)
# A marker is FF and what is neither a stuffed zero, nor a restart, nor a fill byte. No part of it repeats, so
# a run of any length is read once.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
_WEBP_HEAD = 12


class MalformedError(ValueError):
    """The file does not consist of parts as its format says."""


@dataclass(frozen=True)
class Part:
    """One part of a file.

    Attributes:
        kind: The name of a chunk, or the one byte of a JPEG's marker, or `GAP`.
        whole: All its bytes, as they stand in the file.
        body: What is in it. Of a JPEG's scan, the header of the scan alone.
    """

    kind: bytes
    whole: memoryview
    body: memoryview


def png_chunks(content: memoryview) -> Iterator[Part]:
    """Return the chunks up to the end of the image. Raises MalformedError."""
    place = len(PNG_SIGNATURE)
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack(">I4s", _slice(content, place, 8))
        whole = _slice(content, place, 12 + length)
        yield Part(kind, whole, whole[8:-4])
        if kind == b"IEND":
            return
        place += 12 + length
    raise MalformedError(f"over {MAX_PARTS} chunks")


def riff_chunks(content: memoryview) -> Iterator[Part]:
    """Return the chunks of a list of them, with the padding of each that there is. Raises MalformedError."""
    place = 0
    for _ in range(MAX_PARTS):
        if place == len(content):
            return
        kind, length = struct.unpack("<4sI", _slice(content, place, 8))
        body = _slice(content, place + 8, length)
        end = min(place + 8 + length + length % 2, len(content))
        yield Part(kind, content[place:end], body)
        place = end
    raise MalformedError(f"over {MAX_PARTS} chunks")


def webp_body(content: memoryview) -> memoryview:
    """Return the chunks of a WebP, without what stands behind its end. Raises MalformedError."""
    mark, length, form = struct.unpack("<4sI4s", _slice(content, 0, _WEBP_HEAD))
    if mark != b"RIFF" or form != b"WEBP" or length < 4:
        raise MalformedError("no WebP")
    return _slice(content, _WEBP_HEAD, length - 4)


def jpeg_segments(content: memoryview) -> Iterator[Part]:
    """Return the segments from behind the start of the image to its end, each scan with its entropy data.

    What stands between them is a part too. Raises MalformedError.
    """
    place = 2
    for _ in range(MAX_PARTS):
        start, marker = _next_marker(content, place)
        if start > place:
            yield Part(GAP, content[place:start], content[:0])
        if marker in _WITHOUT_LENGTH:
            yield Part(bytes([marker]), content[start : start + 2], content[:0])
            if marker == EOI:
                return
            place = start + 2
            continue
        [length] = struct.unpack(">H", _slice(content, start + 2, 2))
        if length < 2:
            raise MalformedError("a segment shorter than its length")
        body = _slice(content, start + 4, length - 2)
        place = start + 2 + length
        if marker == SOS:
            place, _ = _next_marker(content, place)
        yield Part(bytes([marker]), content[start:place], body)
    raise MalformedError(f"over {MAX_PARTS} segments")


def _next_marker(content: memoryview, place: int) -> tuple[int, int]:
    found = _MARKER.search(content, place)
    if found is None:
        raise MalformedError("no end of the image")
    return found.start(), found[1][0]


def _slice(content: memoryview, place: int, length: int) -> memoryview:
    """Return exactly these bytes. Raises MalformedError if they are not all there."""
    if place + length > len(content):
        raise MalformedError("a part that ends behind the file")
    return content[place : place + length]
