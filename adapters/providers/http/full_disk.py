"""Writing what a provider was paid for, to a disk that may be full until other jobs have ended."""

import asyncio
import errno
import time
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Images come first: each response that becomes images gives more room than they take.
_RESPONSE_PAUSE_SECONDS, _IMAGE_PAUSE_SECONDS = 1.0, 0.1
# On a thread that other responses need too.
_MAX_IMAGE_SECONDS = 60.0


@dataclass
class MemoryRoom:
    """Memory for what a full disk does not take, of all responses of a process together."""

    free_bytes: int


class ResponseBody:
    """The bytes of one response: in a file, and behind that in memory once the disk is full.

    Without the memory, parts of responses would fill the disk, and each wait for the others to end.
    """

    def __init__(self, path: Path, room: MemoryRoom) -> None:
        """Raises OSError if there is no file for it."""
        self._path = path
        self._file = FileIO(path, "w")
        self._room = room
        self._tail = bytearray()
        self._taken_bytes = 0

    async def write(self, content: bytes) -> None:
        """Add bytes; wait while there is room neither on disk nor in memory. Raises OSError."""
        while content := self._write_part(content):  # noqa: ASYNC110 - no event tells that there is room
            await asyncio.sleep(_RESPONSE_PAUSE_SECONDS)

    def _write_part(self, content: bytes) -> bytes:
        rest = content if self._tail else bytes(write_part(self._file, memoryview(content)))
        if len(rest) > self._room.free_bytes:
            return rest
        self._room.free_bytes -= len(rest)
        self._taken_bytes += len(rest)
        self._tail += rest
        return b""

    def read(self) -> bytes:
        return self._path.read_bytes() + self._tail

    def part(self, start: int, end: int) -> bytes:
        """Return a part of what is on disk; what is in memory is not in it. Raises OSError."""
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def remove(self) -> None:
        """Give the disk's room back. Only `close` counts that of the memory, on the event loop's thread."""
        self._file.close()
        self._path.unlink()
        self._tail.clear()

    def close(self) -> None:
        self._file.close()
        self._tail.clear()
        self._room.free_bytes += self._taken_bytes
        self._taken_bytes = 0


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
