"""The Python processes of the stack: simulators, worker, API and admin commands."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import httpx

from devstack.errors import NotReady
from devstack.process import commands
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Command, Supervisor

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_SECONDS = 60.0
REQUEST_TIMEOUT_SECONDS = 2.0
ADMIN_TIMEOUT_SECONDS = 120.0
COMPLAINT_CHARACTERS = 2_000


def start(
    supervisor: Supervisor,
    name: str,
    arguments: tuple[str, ...],
    *,
    env: Mapping[str, str],
    ready_url: str,
    stop_timeout_seconds: float = 10.0,
) -> None:
    """Run `python ARGUMENTS` from the root of the checkout, and wait until `ready_url` returns 200."""
    supervisor.start(
        Command(
            name=name,
            argv=(sys.executable, *arguments),
            env=_environment() | dict(env),
            cwd=ROOT,
            stop_timeout_seconds=stop_timeout_seconds,
        )
    )
    supervisor.wait_ready(name, lambda: responds(ready_url), timeout_seconds=READY_TIMEOUT_SECONDS)


def become_admin(arguments: Sequence[str], settings: Mapping[str, str]) -> NoReturn:
    """Become `python -m admin ARGUMENTS` with these settings, with its output and exit code."""
    os.chdir(ROOT)
    os.execve(  # noqa: S606
        sys.executable, [sys.executable, "-m", "admin", *arguments], dict(os.environ) | dict(settings)
    )


def run_admin(*arguments: str, env: Mapping[str, str], stop: StopFlag) -> str:
    """Run `python -m admin ARGUMENTS`; return its output. Raises NotReady with its error."""
    try:
        done = commands.run(
            [sys.executable, "-m", "admin", *arguments],
            env=_environment() | dict(env),
            timeout_seconds=ADMIN_TIMEOUT_SECONDS,
            stop=stop,
            cwd=ROOT,
        )
    except subprocess.TimeoutExpired:
        raise NotReady(f"`admin {arguments[0]}` was not done after {ADMIN_TIMEOUT_SECONDS:.0f} s") from None
    if done.returncode != 0:
        complaint = done.stderr.strip()[-COMPLAINT_CHARACTERS:]
        raise NotReady(f"`admin {arguments[0]}` failed with {done.returncode}:\n{complaint}")
    return done.stdout


def responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _environment() -> dict[str, str]:
    """Return our environment with unbuffered output, so that a killed child's last lines are not lost."""
    return dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
