"""Builds Temporal's server, its schema tool and its schema from the Go module into the cache."""

from pathlib import Path

from devstack.errors import InstallFailed
from devstack.install.cache import cached, make_once
from devstack.install.go_build import (
    BUILD_TIMEOUT_SECONDS,
    copy_writable,
    go_command,
    go_environment,
    module_folder,
)
from devstack.install.progress import run_with_progress
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag

MODULE = "go.temporal.io/server"
VERSION = "v1.29.1"
PACKAGES = (f"{MODULE}/cmd/server@{VERSION}", f"{MODULE}/cmd/tools/sql@{VERSION}")
CACHED_NAME = f"temporal-server-{VERSION}"
NEEDED_BYTES = 5_000_000_000


def temporal_server(*, stop: StopFlag, log: Log) -> Path:
    """Return a folder with the programs `server` and `sql`, and `schema`. Raises InstallFailed."""
    if found := cached(CACHED_NAME):
        return found
    go = go_command()
    if go is None:
        raise InstallFailed(
            "Temporal's server is built from its Go module, and there is no Go (https://go.dev/dl)"
        )

    def build(staging: Path) -> Path:
        folder, scratch = staging / "server", staging / "tmp"
        scratch.mkdir()
        # Both at once, so that what they share is compiled once.
        run_with_progress(
            f"building Temporal's server {VERSION} with Go (usually 6 minutes, once)",
            [go, "install", *PACKAGES],
            env=go_environment()
            | {"GOBIN": str(folder), "GOCACHE": str(staging / "gocache"), "GOTMPDIR": str(scratch)},
            cwd=staging,
            timeout_seconds=BUILD_TIMEOUT_SECONDS,
            stop=stop,
            log=log,
        )
        module = module_folder(go, MODULE, VERSION, staging, stop=stop)
        copy_writable(module / "schema" / "postgresql" / "v12", folder / "schema")
        return folder

    return make_once(CACHED_NAME, build, needed_bytes=NEEDED_BYTES, stop=stop, log=log)
