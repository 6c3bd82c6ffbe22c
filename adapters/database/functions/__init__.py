"""The steps of a generation as functions of the database: one round trip and one transaction each.

Their sources are the `.sql` files here, by what they are about. A migration installs them; whoever changes
one adds a migration that installs them again (CONTRIBUTING.md).
"""

import hashlib
import re
from collections.abc import Collection
from importlib import resources

_BEGINS = re.compile(r"^(?=CREATE OR REPLACE FUNCTION )", re.MULTILINE)


def statements(*, without: Collection[str] = ()) -> list[str]:
    """Return what creates or replaces the functions, in any order: a body is read when it is called.

    without: names of files whose functions take or return rows of tables that do not exist yet.
    """
    return ["SET LOCAL check_function_bodies = off", *_functions(without)]


def sha256() -> str:
    """Return the digest by which a migration says which functions it installs."""
    return hashlib.sha256("\n".join(_functions()).encode()).hexdigest()


def _functions(without: Collection[str] = ()) -> list[str]:
    folder = resources.files(__package__)
    left_out = {f"{name}.sql" for name in without}
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql") and file.name not in left_out),
        key=lambda file: file.name,
    )
    # What stands before the first function of a file, and between two, is comment.
    return [
        _without_comments_after(function)
        for file in files
        for function in _BEGINS.split(file.read_text(encoding="utf-8"))[1:]
    ]


def _without_comments_after(function: str) -> str:
    """Return a function without what follows it: the comment on the next."""
    return function[: function.rindex("$$;") + 2]
