"""Runs a long command with visible progress."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from devstack.errors import InstallFailed
from devstack.process.log import Log
from devstack.process.signals import end_process
from devstack.process.stop_flag import CHECK_EVERY_SECONDS, StopFlag

LINE_EVERY_SECONDS = 10.0
TAIL_BYTES = 2_000

Tick = Callable[[float], None]


@contextmanager
def progress_line(title: str, log: Log) -> Iterator[Tick]:
    """Yield a function that shows the seconds so far: a live line on a terminal, else one every 10 s."""
    if sys.stdout.isatty():
        with Console().status(title) as status:
            yield lambda seconds: status.update(f"{title}: {_clock(seconds)}")
        return
    next_line = LINE_EVERY_SECONDS

    def tick(seconds: float) -> None:
        nonlocal next_line
        if seconds >= next_line:
            next_line += LINE_EVERY_SECONDS
            log(f"{title}: {_clock(seconds)}")

    yield tick


def run_with_progress(
    title: str,
    argv: list[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout_seconds: float,
    stop: StopFlag,
    log: Log,
) -> None:
    """Run a command to its end. Raises InstallFailed with the end of its output, or Interrupted."""
    log(f"{title} …")
    output_path = cwd / "output.log"
    started = time.monotonic()
    with output_path.open("wb") as output, progress_line(title, log) as tick:
        process = subprocess.Popen(  # noqa: S603 - our own command lines
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                seconds = time.monotonic() - started
                if seconds > timeout_seconds:
                    raise InstallFailed(
                        f"{title}: not done after {_clock(timeout_seconds)}\n{_tail(output_path)}"
                    )
                tick(seconds)
                stop.wait(CHECK_EVERY_SECONDS)
        finally:
            end_process(process.pid)
            process.wait()
    if process.returncode != 0:
        raise InstallFailed(
            f"{title}: failed after {_clock(time.monotonic() - started)}\n{_tail(output_path)}"
        )
    log(f"{title}: done in {_clock(time.monotonic() - started)}")


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        return file.read().decode(errors="replace").strip()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
