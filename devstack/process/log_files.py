"""One log file per child, written by the child itself, with a maximum size."""

import os
import shutil
from pathlib import Path

LOG_BYTES_MAX = 10_000_000
TAIL_BYTES = 2_000


class LogFiles:
    """`logs/<name>.log`, and after it was full, `logs/<name>.log.1`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def open(self, name: str) -> int:
        """Return a descriptor for a child's output, in append mode, so that it continues after `cap`."""
        return os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def cap(self, name: str) -> None:
        """Copy a full log and empty it: the child keeps its descriptor, so it cannot be moved."""
        path = self.path(name)
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)

    def tail(self, name: str) -> str:
        """Return the last lines, for a message."""
        try:
            with self.path(name).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except FileNotFoundError:
            return ""
