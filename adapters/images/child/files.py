"""Files that the parent has made, and what their disk has to say."""

import errno
import os
from pathlib import Path
from typing import BinaryIO, cast

# A result over RLIMIT_FSIZE, and a place before the beginning of the file.
_CAUSED_BY_IMAGES = (errno.EFBIG, errno.EINVAL)


def is_outage(error: Exception) -> bool:
    """Return whether the system failed, and not the image. Pillow's own errors have no number."""
    return isinstance(error, OSError) and error.errno not in (None, *_CAUSED_BY_IMAGES)


def open_target(path: Path) -> BinaryIO:
    """Open the empty file. It is not created: nobody would remove one that the parent has removed."""
    return cast("BinaryIO", os.fdopen(os.open(path, os.O_RDWR | os.O_TRUNC | os.O_NOFOLLOW), "w+b"))
