"""What a child answers: a full disk is not the image's fault."""

import errno
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from adapters.images.child.__main__ import _reply
from adapters.images.child.decoding import decode
from adapters.images.child.files import is_outage
from adapters.images.messages import DecodeReply, DecodeRequest
from tests.unit.adapters.images.child.carriers import exif, texts
from tests.unit.adapters.images.pictures import NOISE, saved

LARGE = Image.effect_noise((1200, 1200), 90)
WRITTEN = {
    "without its metadata": (saved("PNG", pnginfo=texts()), "prepare", False),
    "a JPEG upright": (saved("JPEG", LARGE, exif=exif(6)), "prepare", True),
    "a PNG upright": (saved("PNG", LARGE, exif=exif(6)), "prepare", True),
    "a WebP upright": (saved("WEBP", LARGE, exif=exif(6)), "prepare", True),
    "a mask": (saved("PNG", NOISE.convert("RGBA")), "white_mask", False),
}


def reply_to(content: bytes, folder: Path, target: str, task: str, is_upright_wanted: bool) -> DecodeReply:
    source = folder / "source"
    source.write_bytes(content)
    request = DecodeRequest(str(source), target, task, is_upright_wanted=is_upright_wanted)
    return _reply(request, 10_000_000, 512_000_000)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is there only")
@pytest.mark.parametrize(("content", "task", "is_upright_wanted"), WRITTEN.values(), ids=WRITTEN)
def test_a_full_disk_is_an_outage(content: bytes, task: str, is_upright_wanted: bool, tmp_path: Path) -> None:
    reply = reply_to(content, tmp_path, "/dev/full", task, is_upright_wanted)

    assert (reply.error, reply.is_last) == (None, True)
    assert "No space left" in (reply.outage or "")


@pytest.mark.parametrize("content", [b"", b"<html>", saved("PNG")[:-20]])
def test_an_image_that_is_none_is_not_one(content: bytes, tmp_path: Path) -> None:
    reply = reply_to(content, tmp_path, os.devnull, "prepare", is_upright_wanted=True)

    assert reply.outage is None
    assert reply.error


def test_a_file_that_cannot_be_read_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "gone", 1)


@pytest.mark.parametrize("error", [OSError("broken data stream"), OSError(errno.EFBIG, ""), ValueError()])
def test_what_an_image_brings_about_is_none(error: Exception) -> None:
    assert not is_outage(error)
