"""The unprivileged user that PostgreSQL runs as if we are root, and what that user can reach."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import StackError

CANDIDATES = ("postgres", "_postgres", "nobody")


@dataclass(frozen=True)
class UnixUser:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


def unprivileged_user() -> UnixUser | None:
    """Return the user for PostgreSQL, which refuses to run as root; None unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return UnixUser(name, entry.pw_uid, entry.pw_gid)
    raise StackError(f"PostgreSQL does not run as root, and none of {', '.join(CANDIDATES)} exists here")


def can_reach(account: UnixUser | None, path: Path) -> bool:
    """Return whether the user may read `path` and enter every folder above it. None means ourselves."""
    if account is None:
        return os.access(path, os.R_OK)
    resolved = path.resolve()
    return _is_allowed(account, resolved, stat.S_IROTH) and can_enter(account, resolved.parent)


def can_enter(account: UnixUser, folder: Path) -> bool:
    """Return whether the user may enter `folder`, which may not exist yet."""
    resolved = folder.resolve()
    return all(
        _is_allowed(account, part, stat.S_IXOTH) for part in (resolved, *resolved.parents) if part.exists()
    )


def _is_allowed(account: UnixUser, path: Path, bit: int) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    if status.st_uid == account.uid:
        return bool(status.st_mode & (bit << 6))
    if status.st_gid == account.gid:
        return bool(status.st_mode & (bit << 3))
    return bool(status.st_mode & bit)
