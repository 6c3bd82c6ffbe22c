"""A process's own folder for temporary files, and those that killed processes have left."""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

_log = logging.getLogger("darkroom")
_PREFIX = "darkroom-work-"
_LOCK = "lock"
_MAX_FOLDERS = 1000
# A folder whose process has not locked it yet.
_MIN_AGE_SECONDS = 60.0


@contextmanager
def work_folder() -> Iterator[Path]:
    """Put all temporary files of this process into one folder, after removing those of dead processes.

    The folder's lock is held as long as the process lives, however it ends.
    """
    root = Path(tempfile.gettempdir())
    removed = clear_leftovers(root)
    if removed:
        _log.info("removed %d folders of processes that were killed", removed)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    before = tempfile.tempdir
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before
            shutil.rmtree(folder, ignore_errors=True)


def clear_leftovers(root: Path) -> int:
    """Remove the folders of processes that are dead, at most 1000; return how many."""
    return sum(_remove_if_dead(folder) for folder in islice(root.glob(f"{_PREFIX}*"), _MAX_FOLDERS))


def _remove_if_dead(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+") as lock:
            if not _take(lock):
                return False
            shutil.rmtree(folder)
            return True
    except FileNotFoundError:
        return _is_abandoned(folder) and _remove(folder)
    except OSError:  # another user's
        return False


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_abandoned(folder: Path) -> bool:
    try:
        return time.time() - os.stat(folder).st_mtime > _MIN_AGE_SECONDS
    except OSError:
        return False


def _remove(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
