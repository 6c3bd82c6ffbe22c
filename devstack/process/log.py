"""Prints lines for users."""

import sys
from collections.abc import Callable

Log = Callable[[str], None]


def log(line: str) -> None:
    """Print one line at once. A closed pipe (`| head`) must not end a stack."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except (BrokenPipeError, OSError):
        return


def silent(_line: str) -> None:
    """Print nothing, for callers that read the log files."""
