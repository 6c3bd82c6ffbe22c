"""Images of every format and form with something private in them, and ways to look at what became of it."""

import io
from pathlib import Path

from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from adapters.images.child.metadata import without_metadata
from adapters.images.child.preparation import prepare
from adapters.images.messages import DecodeReply
from tests.unit.adapters.images.pictures import NOISE, saved

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


def pixels(content: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
        return image.mode, image.size, image.tobytes()


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
