"""Time limits that fail what hangs, and not what a busy machine makes slow.

Every limit goes through `scaled`, so one setting, `TEST_TIMEOUT_SCALE`, makes all of them longer.
"""

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import CodeType
from typing import Any

SETTING = "TEST_TIMEOUT_SCALE"
MAX_AUTOMATIC_SCALE = 5.0
# What survives its limit, such as a cleanup that hangs too, is interrupted again after each of these.
_GRACE_SECONDS = 10.0


def scale() -> float:
    """Return the setting; without it, the demand for each core at this moment, from 1 to a maximum."""
    if setting := os.environ.get(SETTING):
        return float(setting)
    return min(MAX_AUTOMATIC_SCALE, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def scaled(seconds: float) -> float:
    """Return this limit as long as the machine needs it now."""
    return seconds * scale()


@asynccontextmanager
async def within(seconds: float, what: str, *, limit_seconds: float | None = None) -> AsyncIterator[None]:
    """Cancel the current task after this time, until it ends, and raise TimeoutError instead.

    limit_seconds: of which `seconds` are what is left, for the message.

    The event loop stays usable. An exception from a signal handler would hit whatever task or callback runs.
    """
    message = _message(what, limit_seconds or seconds)
    expiry = _Expiry(seconds, message)
    try:
        yield
    except (asyncio.CancelledError, Exception, BaseExceptionGroup) as error:
        if not expiry.cancels:
            raise
        raise TimeoutError(message) from error
    finally:
        expiry.disarm()
    if expiry.cancels:
        raise TimeoutError(message)


class _Expiry:
    """Cancels the task that made it when the time is over, and again while the task goes on."""

    def __init__(self, seconds: float, message: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.cancels = 0
        self._task = task
        self._message = message
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self.cancels == 0:
            print(f"{self._message}\n{_what_waits()}", file=sys.stderr)  # noqa: T201 - pytest captures it
        self.cancels += 1
        self._task.cancel()
        self._timer = asyncio.get_running_loop().call_later(scaled(_GRACE_SECONDS), self._expire)

    def disarm(self) -> None:
        self._timer.cancel()
        for _ in range(self.cancels):
            self._task.uncancel()


@contextmanager
def alarm(seconds: float, what: str) -> Iterator[None]:
    """Raise TimeoutError in the main thread after this time, except while it runs an event loop."""
    is_over = False

    def expire(_number: int, _frame: object) -> None:
        if not is_over and not _is_in_event_loop():
            raise TimeoutError(_message(what, seconds))

    outer_handler = signal.signal(signal.SIGALRM, expire)
    outer_timer = signal.setitimer(signal.ITIMER_REAL, seconds, scaled(_GRACE_SECONDS))
    try:
        try:
            yield
        finally:
            is_over = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, *outer_timer)
        signal.signal(signal.SIGALRM, outer_handler)


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _message(what: str, seconds: float) -> str:
    return f"{what} took more than {seconds:.3g} s ({SETTING} scales every limit)"


def _what_waits() -> str:
    """Return where each task of this loop waits, and where each thread but this one is."""
    tasks = [f"task {task.get_name()}\n    {_awaits(task.get_coro())}" for task in asyncio.all_tasks()]
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    threads = [
        f"thread {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    ]
    return "\n".join(tasks + threads)


def _awaits(waiting: Any) -> str:
    """Return the chain of awaits from a task's coroutine down to what it waits for."""
    chain = []
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
        chain.append(_position(frame.f_code, frame.f_lineno) if frame else str(waiting))
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)
    return "\n    ".join(chain)


def _position(code: CodeType, line: int) -> str:
    return f"{code.co_filename}:{line} {code.co_name}"
