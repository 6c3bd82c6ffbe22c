"""Where lines for people go."""

import sys
from collections.abc import Callable

Log = Callable[[str], None]


def log(line: str) -> None:
    """One line on standard output, at once. A closed pipe (`| head`) must not end a stack."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except (BrokenPipeError, OSError):
        return


def silent(_line: str) -> None:
    """For callers who read the logs instead."""
