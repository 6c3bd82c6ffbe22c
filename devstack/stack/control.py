"""Pauses, resumes or kills one part of a running stack, and tells its settings."""

import os
import signal
from pathlib import Path

from devstack.errors import StackError
from devstack.process.data_directory import DataDir, remove
from devstack.process.signals import signal_process
from devstack.process.supervisor import SUPERVISOR, living
from devstack.stack.stack_file import read

SIGNALS = {"pause": signal.SIGSTOP, "resume": signal.SIGCONT, "kill": signal.SIGKILL}


def settings_of(folder: Path) -> dict[str, str]:
    """Return the settings that worker, API and admin commands of a running stack have."""
    settings: dict[str, str] = read(folder).get("settings", {})
    if not settings:
        raise _not_running(folder)
    return settings


def act(folder: Path, action: str, name: str) -> int:
    """Send the action's signal to the named part and all it started; return its verified pid."""
    names = read(folder).get("pids", {})
    if not names:
        raise _not_running(folder)
    if name not in names:
        raise StackError(f"there is no {name}; the parts are {', '.join(sorted(names))}")
    pid = living(folder).get(name)
    if pid is None:
        raise StackError(f"{name} is not running at this moment")
    if name == SUPERVISOR:
        # Alone: what happens to its children then is the very thing to see.
        os.kill(pid, SIGNALS[action])
    else:
        signal_process(pid, SIGNALS[action])
    return pid


def _not_running(folder: Path) -> StackError:
    return StackError(f"no stack is running on {folder} (`make up` starts one)")


def clean(folder: Path) -> bool:
    """Remove a stack's data, also outside the folder. False if there was none.

    First end what a killed stack left running. Raises AlreadyRunning while a stack uses it.
    """
    if not folder.exists():
        return False
    data = DataDir(folder)
    with data.held():
        remove(data.path)
    return True
