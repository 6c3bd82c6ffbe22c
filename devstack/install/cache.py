"""The cache of built and downloaded servers, outside the checkout; each entry is complete or missing."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from devstack.errors import InstallFailed
from devstack.process.locks import is_locked, waiting_lock
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag

Make = Callable[[Path], Path]


def cache_dir() -> Path:
    """Return `DARKROOM_CACHE`, else `darkroom` in the user's cache folder; create it if missing."""
    if named := os.environ.get("DARKROOM_CACHE"):
        path = Path(named)
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "darkroom"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def cached(name: str) -> Path | None:
    path = cache_dir() / name
    return path if path.exists() else None


def make_once(
    name: str, make: Make, *, needed_bytes: int, stop: StopFlag, log: Log, root: Path | None = None
) -> Path:
    """Return the cached file or folder of this name; if it is missing, let `make` create it in a folder.

    A second caller waits for the first. After a kill nothing of that name is left, and the next attempt
    removes the rest.
    """
    root = root or cache_dir()
    target, lock = root / name, root / f".{name}.lock"
    if target.exists():
        return target
    if is_locked(lock):
        log(f"waiting for another process that is making {name}")
    with waiting_lock(lock, stop=stop):
        if target.exists():
            return target
        for scraps in root.glob(f".{name}.making-*"):
            shutil.rmtree(scraps, ignore_errors=True)
        _check_free_disk(root, name, needed_bytes)
        staging = Path(tempfile.mkdtemp(prefix=f".{name}.making-", dir=root))
        try:
            os.replace(make(staging), target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _check_free_disk(root: Path, name: str, needed_bytes: int) -> None:
    free = shutil.disk_usage(root).free
    if free < needed_bytes:
        raise InstallFailed(
            f"{name} needs about {needed_bytes / 1e9:.1f} GB while it is made, and {root} has "
            f"{free / 1e9:.1f} GB free. Make room, or name another place in DARKROOM_CACHE."
        )
