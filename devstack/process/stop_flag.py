"""Stops the program on a signal: handlers only set a flag, and every wait checks it.

An exception from a handler could come between starting a child and recording its pid, and leave that child
running. A flag is checked only where it is safe to stop.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from devstack.errors import Interrupted, NotReady

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHECK_EVERY_SECONDS = 0.05


class StopFlag:
    """Set once, by a signal, and shared by everything that waits."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Sleep, or raise Interrupted as soon as the flag is set."""
        if self._event.wait(seconds):
            raise Interrupted

    def wait_until(self, is_ready: Callable[[], bool], *, what: str, timeout_seconds: float) -> None:
        """Wait until the check returns true. Raises NotReady after the timeout, or Interrupted."""
        deadline = time.monotonic() + timeout_seconds
        while not is_ready():
            if time.monotonic() > deadline:
                raise NotReady(f"{what} was not ready within {timeout_seconds:.0f} s")
            self.wait(CHECK_EVERY_SECONDS)


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Return a flag that INT, TERM and HUP set, also if a background shell had SIGINT ignored."""
    flag = StopFlag()

    def raise_flag(_number: int, _frame: FrameType | None) -> None:
        flag.set()

    before = {number: signal.signal(number, raise_flag) for number in STOP_SIGNALS}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
