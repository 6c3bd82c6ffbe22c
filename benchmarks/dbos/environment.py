"""The environment of the DBOS side: `.venv-bench`, made of requirements-bench.lock."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from devstack.errors import InstallFailed
from devstack.process.log import Log
from devstack.servers.app_processes import ROOT

LOCK = "requirements-bench.lock"
FOLDER = ".venv-bench"
READY = ".ready"
INSTALL_TIMEOUT_SECONDS = 900.0

Run = Callable[[Sequence[str]], None]


def ready_python(log: Log, *, root: Path = ROOT, run: Run | None = None) -> Path:
    """Return the interpreter; make the environment first if there is none of this lock.

    run: runs a command. Raises InstallFailed.
    """
    run = run or _run
    folder, lock = root / FOLDER, root / LOCK
    python, ready = folder / "bin" / "python", folder / READY
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if ready.exists() and ready.read_text() == wanted and python.exists():
        return python
    log(f"making {FOLDER} …")
    run((sys.executable, "-m", "venv", "--clear", str(folder)))
    log(f"installing the packages of {LOCK} (about a minute, once) …")
    run(
        (
            *(str(python), "-m", "pip", "install", "--require-hashes", "--no-deps"),
            *("--disable-pip-version-check", "--progress-bar", "on", "-r", str(lock)),
        )
    )
    ready.write_text(wanted)
    return python


def _run(argv: Sequence[str]) -> None:
    """Run a command whose output is its progress."""
    # pip must not look at the packages of the environment that started us.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        subprocess.run(  # noqa: S603 - our own command lines
            argv, env=environment, check=True, timeout=INSTALL_TIMEOUT_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallFailed(f"{FOLDER} could not be made: {error}") from error
