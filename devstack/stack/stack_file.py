"""`stack.json`, by which scripts, tests and users find a running stack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devstack.process.private_files import read_json_object, write_private_json

STACK_FILE = "stack.json"


class StackRecord:
    """The file, which exists from `publish` to `withdraw`, while the stack is complete."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STACK_FILE
        self._facts: Mapping[str, Any] | None = None
        self.withdraw()

    def publish(self, facts: Mapping[str, Any]) -> None:
        """Set the facts that do not change; the file appears with the next `update`."""
        self._facts = facts

    def update(self, pids: Mapping[str, int]) -> None:
        if self._facts is not None:
            write_private_json(self._path, {**self._facts, "pids": dict(pids)})

    def withdraw(self) -> None:
        self._facts = None
        self._path.unlink(missing_ok=True)


def read(folder: Path) -> dict[str, Any]:
    """Read the file; empty without a running stack."""
    return read_json_object(folder / STACK_FILE)
