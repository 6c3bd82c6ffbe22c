"""Writing what a provider was paid for, to a disk that may be full until other jobs have ended."""

import errno
import time
from io import FileIO

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Images come first: each response that becomes images gives more room than they take.
RESPONSE_PAUSE_SECONDS, _IMAGE_PAUSE_SECONDS = 1.0, 0.1
# On a thread that other responses need too.
_MAX_IMAGE_SECONDS = 60.0


def write_part(file: FileIO, content: memoryview) -> memoryview:
    """Write what there is room for; return the rest. Raises OSError for anything but a full disk."""
    try:
        return content[file.write(content) :]
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return content


def write_whole(file: FileIO, content: bytes, max_seconds: float = _MAX_IMAGE_SECONDS) -> None:
    """Write all of it, and wait for room so long. Raises OSError."""
    end, rest = time.monotonic() + max_seconds, memoryview(content)
    while rest := write_part(file, rest):
        if time.monotonic() > end:
            raise OSError(errno.ENOSPC, f"the disk was full for {max_seconds:g} s")
        time.sleep(_IMAGE_PAUSE_SECONDS)
