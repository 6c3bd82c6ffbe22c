"""Signals for a process that we started and everything it started."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

from devstack.process.process_id import start_mark

CHECK_EVERY_SECONDS = 0.02


def signal_process(pid: int, number: int) -> None:
    """Send a signal to the process, its group if it leads one, and its descendants in other sessions.

    Every backend of PostgreSQL has its own session, so the group is only the postmaster.
    """
    descendants = _descendants(pid)
    with suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    for descendant in descendants:
        with suppress(psutil.Error):
            descendant.send_signal(number)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def wait_gone(pids: Iterable[int], timeout_seconds: float) -> set[int]:
    """Wait until processes are gone; return those still alive after the timeout. Zombies count as gone."""
    alive = set(pids)
    deadline = time.monotonic() + timeout_seconds
    while True:
        alive = {pid for pid in alive if start_mark(pid) is not None}
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(CHECK_EVERY_SECONDS)


def end_process(pid: int, *, number: int = signal.SIGTERM, timeout_seconds: float = 5.0) -> None:
    """Terminate a process, then kill it. A stopped one is continued first, so that it gets the signal."""
    for each in (number, signal.SIGCONT):
        with suppress(ProcessLookupError):
            os.kill(pid, each)
    if wait_gone([pid], timeout_seconds):
        signal_process(pid, signal.SIGKILL)
        wait_gone([pid], timeout_seconds)
    end_group(pid)


def end_group(pid: int) -> None:
    """End what a dead leader left in its group, which would hold the port or the data."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM where only a zombie is left
        os.killpg(pid, signal.SIGKILL)
