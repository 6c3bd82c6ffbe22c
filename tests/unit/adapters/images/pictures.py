"""Pictures of the tests, made by Pillow or by hand."""

import io
import struct
import zlib

from PIL import Image

SIZE = (96, 64)
NOISE = Image.merge("RGB", [Image.effect_noise(SIZE, 80), *[Image.linear_gradient("L").resize(SIZE)] * 2])


def saved(kind: str, picture: Image.Image = NOISE, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)


def webp_of(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WEBP") + body


def webp_bomb(width: int, height: int) -> bytes:
    """Return a lossless WebP of a few bytes: one color, in codes that take no bits for a pixel."""
    small = saved("WEBP", Image.new("RGB", (1, 1), "red"), lossless=True)
    payload = bytearray(small[20:])
    bits = int.from_bytes(payload[1:5], "little")
    bits = bits & ~0x0FFFFFFF | (width - 1) | (height - 1) << 14
    payload[1:5] = bits.to_bytes(4, "little")
    return webp_of(riff_chunk(b"VP8L", bytes(payload)))


def jumbf(label: bytes = b"c2pa") -> bytes:
    """Return the beginning of a manifest store: a box with a description that says what it is."""
    described = label + bytes.fromhex("00110010800000aa00389b71") + b"\x03c2pa\0"
    description = struct.pack(">I4s", 8 + len(described), b"jumd") + described
    return struct.pack(">I4s", 8 + len(description), b"jumb") + description
