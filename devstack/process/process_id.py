"""Identifies a process by its pid and start time, as the system reuses pids."""

import platform
from functools import cache
from pathlib import Path

import psutil

STARTED_FIELD = 22 - 3  # `starttime` of proc(5), counted from the field after the command's name


def start_mark(pid: int) -> str | None:
    """Return a text that differs between two processes with the same pid; None without a process."""
    try:
        if platform.system() == "Linux":
            return _linux_start_mark(pid)
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except (OSError, psutil.Error):
        return None


def _linux_start_mark(pid: int) -> str | None:
    # Ticks since boot, and the boot they count from: the wall clock may be set while a stack runs.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] == "Z":
        return None
    return f"{_boot_id()}:{fields[STARTED_FIELD]}"


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def is_same_process(pid: int, mark: str | None) -> bool:
    return mark is not None and start_mark(pid) == mark
