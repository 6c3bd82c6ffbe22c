"""Images to upload, and a server that shows them."""

import asyncio
import base64
import io
import struct
import zlib
from contextlib import AbstractAsyncContextManager

from PIL import ExifTags, Image

from tests.support.raw_server import RawServer, answer, head, serving

LARGEST_INPUT_BYTES = 200_000
LARGEST_PIXELS = 4_000_000
PRIVATE = "51.4778 N, 0.0015 W"


def png(width: int = 300, height: int = 200, mode: str = "RGB") -> bytes:
    return _saved(Image.new(mode, (width, height), "red"), "PNG")


def photograph(width: int = 300, height: int = 200) -> bytes:
    """Return a JPEG that a phone stored sideways: it is seen with this width and height."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return _saved(Image.new("RGB", (height, width), "red"), "JPEG", exif=exif)


def animated_gif() -> bytes:
    frames = [Image.new("P", (32, 32), index) for index in range(3)]
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def bomb() -> bytes:
    """Return an image of a few kilobytes that decodes to 30 000 x 30 000 pixels."""
    rows = zlib.compress(bytes(1000) * 3000, 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
        + _chunk(b"IDAT", rows)
        + _chunk(b"IEND", b"")
    )


def solid_webp(width: int, height: int) -> bytes:
    """Return an image of some tens of bytes, which takes 20 bytes of memory for each pixel to decode."""
    return _saved(Image.new("RGB", (width, height), "red"), "WEBP", lossless=True)


def private_photograph(kind: str) -> bytes:
    """Return an image with what a phone and a tool note in it, and with a page behind its end."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = PRIVATE
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = PRIVATE
    picture = Image.new("RGB", (300, 200), "red")
    return _saved(picture, kind, exif=exif, xmp=PRIVATE.encode()) + f"<html>{PRIVATE}</html>".encode()


def data_uri(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def picture_server() -> AbstractAsyncContextManager[RawServer]:
    """`/picture` is one; `/inside` and `/elsewhere` redirect, to a private address and to the picture."""

    async def reply(request: bytes, writer: asyncio.StreamWriter) -> None:
        path = request.split(b" ", 2)[1]
        if path == b"/inside":
            writer.write(head(302, "Location: https://169.254.169.254/latest/meta-data", "Content-Length: 0"))
        elif path == b"/elsewhere":
            writer.write(head(302, "Location: /picture", "Content-Length: 0"))
        elif path == b"/large":
            writer.write(answer(200, PICTURE + bytes(LARGEST_INPUT_BYTES)))
        elif path == b"/text":
            writer.write(answer(200, b"<svg/>", "Content-Type: image/png"))
        elif path == b"/silent":
            await asyncio.Event().wait()
        else:
            writer.write(answer(200 if path == b"/picture" else 404, PICTURE))

    return serving(reply)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


PICTURE = png()
