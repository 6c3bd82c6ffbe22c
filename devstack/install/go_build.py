"""Builds a server from its Go module, if Go is installed."""

import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import InstallFailed
from devstack.install.cache import make_once
from devstack.install.progress import run_with_progress
from devstack.process import commands
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag

BUILD_TIMEOUT_SECONDS = 45 * 60.0
DOWNLOAD_TIMEOUT_SECONDS = 10 * 60.0


@dataclass(frozen=True)
class GoProgram:
    """A pinned command of a Go module. `usual_minutes`: on two cores, without downloaded modules."""

    name: str
    package: str
    version: str
    usual_minutes: str
    needed_bytes: int

    @property
    def cached_name(self) -> str:
        return f"{self.name}-{self.version}"


def go_command() -> str | None:
    return shutil.which("go")


def build(program: GoProgram, go: str, *, stop: StopFlag, log: Log) -> Path:
    """Return the cached binary, built first if missing. Raises InstallFailed with the compiler's output."""

    def install(staging: Path) -> Path:
        binaries, scratch = staging / "bin", staging / "tmp"
        scratch.mkdir()
        run_with_progress(
            f"building {program.name} {program.version} with Go (usually {program.usual_minutes}, once)",
            [go, "install", f"{program.package}@{program.version}"],
            # All of it goes with the staging folder: the build cache is several times the binary's size.
            env=go_environment()
            | {"GOBIN": str(binaries), "GOCACHE": str(staging / "gocache"), "GOTMPDIR": str(scratch)},
            cwd=staging,
            timeout_seconds=BUILD_TIMEOUT_SECONDS,
            stop=stop,
            log=log,
        )
        return binaries / program.name

    return make_once(program.cached_name, install, needed_bytes=program.needed_bytes, stop=stop, log=log)


def go_environment() -> dict[str, str]:
    """Return our environment without variables for cross-compiling, with which `go install` refuses GOBIN."""
    return {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH", "GOBIN")}


def module_folder(go: str, module: str, version: str, staging: Path, *, stop: StopFlag) -> Path:
    """Return the folder of a module's sources, downloaded if missing. Raises InstallFailed."""
    listed = commands.run(
        [go, "mod", "download", "-json", f"{module}@{version}"],
        env=go_environment() | {"GOCACHE": str(staging / "gocache")},
        timeout_seconds=DOWNLOAD_TIMEOUT_SECONDS,
        stop=stop,
        cwd=staging,
    )
    if listed.returncode != 0:
        raise InstallFailed(f"the module {module} could not be fetched: {listed.stderr.strip()[-500:]}")
    return Path(json.loads(listed.stdout)["Dir"])


def copy_writable(source: Path, target: Path) -> None:
    """Copy a folder and make it writable: Go's modules are read-only and could not be removed."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
