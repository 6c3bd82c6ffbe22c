"""A stack's folder: its lock, ports, secrets and logs, and every server's data."""

import hashlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from devstack.errors import AlreadyRunning, StackError
from devstack.process import ports
from devstack.process.locks import LockHeld, exclusive_lock, is_locked
from devstack.process.private_files import read_json_object, write_private_json
from devstack.process.supervisor import PIDS_FILE, SUPERVISOR, end_orphans, living
from devstack.process.unix_user import UnixUser, can_enter

STATE_FILE = "state.json"
LOCK_FILE = "lock"
TEMPORARY_PREFIX = "darkroom-stack-"
ABANDONED_AFTER_SECONDS = 3600.0
# Others may walk through (PostgreSQL's account when we are root) and list nothing; what is inside is private.
FOLDER_MODE = 0o711
# Where a folder can be made that an unprivileged account reaches; asked only when we are root.
SHARED_ROOTS = (Path("/var/lib/darkroom"), Path("/var/tmp/darkroom"))  # noqa: S108 - its owner is checked


class DataDir:
    """The folder, and what it stores between runs. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(FOLDER_MODE)
        self._state_file = self.path / STATE_FILE
        self._lock = threading.Lock()
        self._ports: dict[str, int] = {}

    @contextmanager
    def held(self) -> Iterator[list[str]]:
        """Lock the folder for the block. Yield the names of what a killed run had left, now ended."""
        with ExitStack() as exits:
            try:
                exits.enter_context(exclusive_lock(self.path / LOCK_FILE))
            except LockHeld:
                holder = living(self.path).get(SUPERVISOR, "unknown")
                raise AlreadyRunning(
                    f"a stack is already running on {self.path} (pid {holder}); stop that one first"
                ) from None
            yield end_orphans(self.path)

    def secret(self, name: str) -> str:
        """Return a random text, the same at every run on this folder."""
        with self._changing_state() as state:
            return str(state.setdefault("secrets", {}).setdefault(name, secrets.token_hex(24)))

    def port(self, name: str) -> int:
        """Return the port of the last run if it is free, else another one; in one run always the same."""
        if name in self._ports:
            return self._ports[name]
        with self._changing_state() as state:
            known = state.setdefault("ports", {})
            if name not in known or not ports.is_free(known[name]):
                known[name] = ports.pick_free(taken=known.values())
            self._ports[name] = int(known[name])
            return self._ports[name]

    def folder(self, name: str, account: UnixUser | None) -> Path:
        """Return a folder for one server's data that the user can reach; it may not exist yet.

        It is in this folder if possible; else in a shared root, with a link here.
        """
        local = self.path / name
        if account is None or local.is_symlink() or can_enter(account, self.path):
            return local.resolve()
        mark = hashlib.sha256(str(self.path).encode()).hexdigest()[:16]
        outside = shared_root(account) / mark / name
        outside.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
        local.symlink_to(outside)
        return outside

    @contextmanager
    def _changing_state(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            state = read_json_object(self._state_file)
            yield state
            write_private_json(self._state_file, state)


def shared_root(account: UnixUser) -> Path:
    """Return a folder of ours that the user can enter."""
    for root in SHARED_ROOTS:
        try:
            root.mkdir(mode=FOLDER_MODE, exist_ok=True)
        except OSError:
            continue
        if root.stat().st_uid == os.geteuid() and not root.is_symlink() and can_enter(account, root):
            return root
    raise StackError(f"no folder that {account.name} can reach: tried {', '.join(map(str, SHARED_ROOTS))}")


def remove(path: Path) -> None:
    """Remove a data folder and what its links lead to. Nothing may use it any more."""
    for link in path.iterdir():
        target = link.resolve()
        if link.is_symlink() and any(target.is_relative_to(root) for root in SHARED_ROOTS):
            shutil.rmtree(target.parent, ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a data folder that is removed after the block; first remove those of killed processes."""
    _remove_abandoned()
    path = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
    try:
        yield path
    finally:
        remove(path)


def _remove_abandoned() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"):
        # Another process may be at the same one: then it is theirs to remove.
        with suppress(LockHeld, FileNotFoundError):
            if _is_abandoned(path):
                with exclusive_lock(path / LOCK_FILE):
                    end_orphans(path)
                    remove(path)


def _is_abandoned(path: Path) -> bool:
    """Return whether a folder's process died. A new folder without pids is being set up."""
    status, lock = path.lstat(), path / LOCK_FILE
    if path.is_symlink() or status.st_uid != os.geteuid() or not lock.exists() or is_locked(lock):
        return False
    return (path / PIDS_FILE).exists() or time.time() - status.st_mtime > ABANDONED_AFTER_SECONDS
