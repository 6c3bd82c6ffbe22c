"""File locks that the kernel releases when their holder dies, also by SIGKILL."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.process.stop_flag import StopFlag

ASK_EVERY_SECONDS = 0.5


class LockHeld(Exception):
    """Another process has the lock."""


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock, or raise LockHeld at once."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(str(path)) from None
        yield


def is_locked(path: Path) -> bool:
    try:
        with exclusive_lock(path):
            return False
    except LockHeld:
        return True


@contextmanager
def waiting_lock(path: Path, *, stop: StopFlag) -> Iterator[None]:
    """Wait for the lock and hold it. Raises Interrupted."""
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stop.wait(ASK_EVERY_SECONDS)
        yield
