"""The child: reads a request a line, writes a reply a line, and ends when its input does."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path

from PIL import Image

from adapters.images.child.files import is_outage
from adapters.images.child.limits import ProcessLimits
from adapters.images.child.masks import invert_alpha
from adapters.images.child.preparation import prepare
from adapters.images.messages import (
    MAX_LINE_BYTES,
    READY,
    DecodeReply,
    DecodeRequest,
    read_limits,
    read_request,
)
from domain.errors import ResultUnusable


def main() -> None:
    # The parent says when to end: a signal to the whole group must not take an image from it.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)
    limits = read_limits(sys.argv[1])
    own = ProcessLimits(limits)
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own guess; ours are a setting
    requests, replies = FileIO(os.dup(0)), FileIO(os.dup(1), "w")
    # From here on no library prints what it thinks of an image, nor reads what is not for it.
    silence = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(silence, number)
    replies.write(READY)
    for images, request in enumerate(_requests(requests), start=1):
        own.begin_image()
        reply = _reply(request, limits.max_pixels, limits.memory_bytes)
        is_last = reply.is_last or images >= limits.max_images or own.is_memory_kept()
        replies.write(replace(reply, is_last=is_last).to_line())
        if is_last:
            return


def _requests(lines: FileIO) -> Iterator[DecodeRequest]:
    while line := lines.readline(MAX_LINE_BYTES):
        yield read_request(line)


def _reply(request: DecodeRequest, max_pixels: int, memory_bytes: int) -> DecodeReply:
    source, target = Path(request.source), Path(request.target)
    try:
        if request.task == "white_mask":
            invert_alpha(source, target)
            return DecodeReply(is_rewritten=True)
        return prepare(
            source,
            target,
            max_pixels=max_pixels,
            memory_bytes=memory_bytes,
            is_upright_wanted=request.is_upright_wanted,
            is_stripped=request.is_stripped,
        )
    except ResultUnusable as error:
        return DecodeReply(error=str(error))
    except MemoryError:
        return DecodeReply(error=f"decoding it takes over {memory_bytes} bytes", is_last=True)
    except Exception as error:  # noqa: BLE001 - whatever a hostile file made a library raise
        if is_outage(error):
            # Another child may have what this one lacks, such as descriptors. Files go with their request.
            return DecodeReply(outage=str(error), is_last=not isinstance(error, FileNotFoundError))
        return DecodeReply(error=f"not a whole image: {type(error).__name__}")


if __name__ == "__main__":
    main()
