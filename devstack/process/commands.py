"""Runs a short command for its output."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from devstack.process.signals import end_process
from devstack.process.stop_flag import CHECK_EVERY_SECONDS, StopFlag
from devstack.process.unix_user import UnixUser


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    timeout_seconds: float,
    stop: StopFlag,
    cwd: Path | None = None,
    account: UnixUser | None = None,
) -> subprocess.CompletedProcess[str]:
    """Return the finished command, with any exit code. Raises TimeoutExpired or Interrupted."""
    process = subprocess.Popen(  # noqa: S603 - our own command lines
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    deadline = time.monotonic() + timeout_seconds
    with process:
        try:
            return _until_end(process, deadline, stop)
        finally:
            if process.poll() is None:
                end_process(process.pid, timeout_seconds=1.0)


def _until_end(
    process: subprocess.Popen[str], deadline: float, stop: StopFlag
) -> subprocess.CompletedProcess[str]:
    while True:
        try:
            output, errors = process.communicate(timeout=CHECK_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            stop.wait(0)
            if time.monotonic() > deadline:
                raise
        else:
            return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
