"""How much memory it takes to decode an image, told by its header before any decoder sees it.

Pillow holds a gray or indexed pixel in one byte (16-bit gray in two), and any other in four. What its
decoders need besides was measured, and is in docs/operations.md.
"""

import struct
from dataclasses import dataclass

from adapters.images.child.containers import (
    PNG_SIGNATURE,
    SOS,
    MalformedError,
    Part,
    jpeg_segments,
    png_chunks,
    riff_chunks,
    webp_body,
)
from domain.errors import ResultUnusable

# Frames of an animated PNG are laid over the one before.
_APNG_COPIES = 3
# A canvas and one before it, the frame as it is decoded, as it is handed over, and as Pillow holds it.
_WEBP_BYTES = 20
_BYTES_PER_COEFFICIENT = 2
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# All but what defines tables: DHT, JPG and DAC.
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Header:
    """bytes_per_pixel: of memory, while the image is decoded."""

    width: int
    height: int
    bytes_per_pixel: float


def check_header(content: memoryview, *, max_pixels: int, memory_bytes: int) -> None:
    """Raises ResultUnusable for what is no image, or too large a one."""
    try:
        header = read_header(content)
    except (MalformedError, struct.error, IndexError) as error:
        raise ResultUnusable(f"not a whole image: {error}") from error
    pixels = header.width * header.height
    size = f"{header.width}x{header.height}"
    if not pixels:
        raise ResultUnusable(f"{size} has no pixels")
    if pixels > max_pixels:
        raise ResultUnusable(f"{size} is over {max_pixels} pixels")
    if pixels * header.bytes_per_pixel > memory_bytes:
        raise ResultUnusable(f"decoding {size} takes over {memory_bytes} bytes")


def read_header(content: memoryview) -> Header:
    """Raises MalformedError, or struct.error or IndexError where a part is too short."""
    if bytes(content[:8]) == PNG_SIGNATURE:
        return _png(content)
    if bytes(content[:2]) == b"\xff\xd8":
        return _jpeg(content)
    if bytes(content[:4]) == b"RIFF":
        return _webp(webp_body(content))
    raise MalformedError("neither PNG nor JPEG nor WebP")


def _png(content: memoryview) -> Header:
    header, copies = None, 1
    for chunk in png_chunks(content):
        if header is None and chunk.kind != b"IHDR":
            raise MalformedError("a PNG that does not begin with its header")
        if chunk.kind == b"IHDR":
            header = chunk
        if chunk.kind == b"acTL":
            copies = _APNG_COPIES
        if chunk.kind in (b"IDAT", b"IEND"):
            break
    assert header is not None
    width, height, depth, color = struct.unpack_from(">IIBB", header.body)
    per_pixel = 4 if color not in (0, 3) else 2 if depth == 16 else 1
    return Header(width, height, per_pixel * copies)


def _jpeg(content: memoryview) -> Header:
    frame = None
    for segment in jpeg_segments(content):
        if segment.kind[0] in _FRAME_HEADERS and frame is None:
            frame = segment
        if segment.kind[0] == SOS:
            if frame is None:
                break
            return _jpeg_frame(frame, components_of_scan=segment.body[0])
    raise MalformedError("a JPEG without pixels")


def _jpeg_frame(frame: Part, *, components_of_scan: int) -> Header:
    _, height, width, components = struct.unpack_from(">BHHB", frame.body)
    if not components:
        raise MalformedError("a JPEG without colors")
    factors = [frame.body[7 + 3 * number] for number in range(components)]
    across, down = (max(factor >> 4 for factor in factors), max(factor & 15 for factor in factors))
    per_pixel: float = 1 if components == 1 else 4
    # The coefficients of all scans are held until the last has come.
    if frame.kind[0] in _PROGRESSIVE or components_of_scan < components:
        samples = sum((factor >> 4) * (factor & 15) for factor in factors) / max(1, across * down)
        per_pixel += _BYTES_PER_COEFFICIENT * samples
    return Header(width, height, per_pixel)


def _webp(body: memoryview) -> Header:
    first = next(riff_chunks(body), None)
    if first is None:
        raise MalformedError("a WebP without an image")
    head = bytes(first.body[:10])
    if first.kind == b"VP8X":
        width, height = (int.from_bytes(head[place : place + 3], "little") + 1 for place in (4, 7))
    elif first.kind == b"VP8L":
        bits = struct.unpack_from("<I", head, 1)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif first.kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 6))
    else:
        raise MalformedError("a WebP without an image")
    return Header(width, height, _WEBP_BYTES)
