"""Programs that no package brings, from their Go modules: Compose, Temporal's server, SQL tool and UI."""

import shutil
from pathlib import Path

from devstack.errors import InstallFailed
from devstack.install.cache import make_once
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

COMPOSE = "github.com/docker/compose/v2"
COMPOSE_VERSION = "v2.39.4"
SERVER = "go.temporal.io/server"
UI = "github.com/temporalio/ui-server/v2"
NEEDED_BYTES = 5_000_000_000


def compose(*, stop: StopFlag, log: Log) -> Path:
    """Return Compose, built first if missing.

    `go install` refuses a module that excludes versions of others; as a tool of another module it builds.
    """
    go = _go()

    def build(staging: Path) -> Path:
        (staging / "go.mod").write_text("module compose\n\ngo 1.24\n")
        env = _environment(staging) | {"GOFLAGS": "-mod=mod"}
        version = f"-X {COMPOSE}/internal.Version={COMPOSE_VERSION}"
        for title, arguments in (
            (f"fetching Compose {COMPOSE_VERSION}", ("get", "-tool", f"{COMPOSE}/cmd@{COMPOSE_VERSION}")),
            (
                f"building Compose {COMPOSE_VERSION} with Go (usually 5 to 13 minutes, once)",
                ("build", "-trimpath", "-ldflags", f"-s -w {version}", "-o", "compose", f"{COMPOSE}/cmd"),
            ),
        ):
            _run(title, [go, *arguments], env, staging, stop=stop, log=log)
        return staging / "compose"

    return make_once(
        f"docker-compose-{COMPOSE_VERSION}", build, needed_bytes=NEEDED_BYTES, stop=stop, log=log
    )


def temporal(server: str, ui: str, *, stop: StopFlag, log: Log) -> Path:
    """Return a folder with `temporal-server`, `temporal-sql-tool`, `schema`, `ui-server` and `ui.yaml`."""
    go = _go()

    def build(staging: Path) -> Path:
        folder = staging / "programs"
        env = _environment(staging) | {"CGO_ENABLED": "0", "GOBIN": str(folder)}
        for module, version, packages in (
            (SERVER, server, {"server": "temporal-server", "tools/sql": "temporal-sql-tool"}),
            (UI, ui, {"server": "ui-server"}),
        ):
            names = [f"{module}/cmd/{package}@{version}" for package in packages]
            title = f"building {' and '.join(packages.values())} {version} with Go (usually 4 minutes, once)"
            argv = [go, "install", "-trimpath", "-ldflags", "-s -w", *names]
            _run(title, argv, env, staging, stop=stop, log=log)
            for package, name in packages.items():
                (folder / package.rpartition("/")[2]).rename(folder / name)
        copy_writable(module_folder(go, SERVER, server, staging, stop=stop) / "schema", folder / "schema")
        configured = module_folder(go, UI, ui, staging, stop=stop) / "config" / "docker.yaml"
        shutil.copyfile(configured, folder / "ui.yaml")
        return folder

    return make_once(f"temporal-programs-{server}-{ui}", build, needed_bytes=NEEDED_BYTES, stop=stop, log=log)


def go_root() -> Path:
    """Return the folder of the Go that is installed."""
    return Path(_go()).resolve().parents[1]


def _go() -> str:
    found = go_command()
    if found is None:
        raise InstallFailed("Compose and Temporal are built from their Go modules, and there is no Go")
    return found


def _environment(staging: Path) -> dict[str, str]:
    """Return an environment in which all that a build writes goes with the staging folder."""
    scratch = staging / "tmp"
    scratch.mkdir(exist_ok=True)
    return go_environment() | {"GOCACHE": str(staging / "gocache"), "GOTMPDIR": str(scratch)}


def _run(
    title: str, argv: list[str], env: dict[str, str], staging: Path, *, stop: StopFlag, log: Log
) -> None:
    run_with_progress(
        title, argv, env=env, cwd=staging, timeout_seconds=BUILD_TIMEOUT_SECONDS, stop=stop, log=log
    )
