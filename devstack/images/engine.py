"""A Docker daemon of its own below a temporary folder, and the commands that talk to it."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devstack.errors import InstallFailed
from devstack.install.progress import run_with_progress
from devstack.process import commands
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Command, Supervisor

PACKAGES = ("docker.io", "debootstrap")
APT_TIMEOUT_SECONDS = 10 * 60.0
READY_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 40.0
SHORT_SECONDS = 60.0


@dataclass(frozen=True)
class Engine:
    """A running daemon. `compose_program`: Compose as a program of its own, without a client's plugins."""

    folder: Path
    compose_program: Path
    stop: StopFlag
    log: Log
    # Files and names that every command of Compose is given.
    compose_arguments: tuple[str, ...] = field(default=())

    @property
    def env(self) -> dict[str, str]:
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))
        }
        return ours | {
            "DOCKER_HOST": _socket(self.folder),
            "DOCKER_CONFIG": str(self.folder / "client"),
            "DOCKER_BUILDKIT": "1",
        }

    def docker(self, *arguments: str, timeout_seconds: float = SHORT_SECONDS) -> str:
        """Return what a command of the client prints. Raises InstallFailed with its error."""
        return self._output(["docker", *arguments], timeout_seconds)

    def compose(self, *arguments: str, timeout_seconds: float = SHORT_SECONDS) -> str:
        """Return what a command of Compose prints. Raises InstallFailed with its error."""
        argv = [str(self.compose_program), *self.compose_arguments, *arguments]
        return self._output(argv, timeout_seconds)

    def compose_aloud(
        self, title: str, *arguments: str, timeout_seconds: float, env: Mapping[str, str] | None = None
    ) -> None:
        """Run a long command of Compose, with progress. Raises InstallFailed with the end of its output."""
        run_with_progress(
            title,
            [str(self.compose_program), *self.compose_arguments, "--progress", "plain", *arguments],
            env=self.env | dict(env or {}),
            cwd=self.folder,
            timeout_seconds=timeout_seconds,
            stop=self.stop,
            log=self.log,
        )

    def _output(self, argv: list[str], timeout_seconds: float) -> str:
        done = commands.run(argv, env=self.env, timeout_seconds=timeout_seconds, stop=self.stop)
        if done.returncode != 0:
            shown = " ".join(argument for argument in argv[-4:] if "=" not in argument)
            raise InstallFailed(f"… {shown}: failed\n{done.stderr.strip()[-2000:]}")
        return done.stdout


def install_engine(folder: Path, *, stop: StopFlag, log: Log) -> None:
    """Install Debian's Docker engine and debootstrap, unless they are there. Raises InstallFailed."""
    if os.geteuid() != 0:
        raise InstallFailed("a Docker daemon of its own and debootstrap need root")
    if shutil.which("dockerd") and shutil.which("debootstrap"):
        return
    if shutil.which("apt-get") is None:
        raise InstallFailed(f"there is no apt-get to install {' and '.join(PACKAGES)} with; install them")
    env = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
    for title, arguments in (
        ("updating the list of Debian's packages", ("update", "-q")),
        (f"installing {' and '.join(PACKAGES)}", ("install", "-qy", "--no-install-recommends", *PACKAGES)),
    ):
        run_with_progress(
            title,
            ["apt-get", *arguments],
            env=env,
            cwd=folder,
            timeout_seconds=APT_TIMEOUT_SECONDS,
            stop=stop,
            log=log,
        )


def start(supervisor: Supervisor, engine: Engine) -> None:
    """Start the daemon, which touches no firewall, forwards nothing and shares nothing with another one."""
    folder = engine.folder
    argv = (
        "dockerd",
        f"--host={_socket(folder)}",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'docker.pid'}",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
    )
    supervisor.start(
        Command("docker", argv, engine.env, cwd=folder, stop_timeout_seconds=STOP_TIMEOUT_SECONDS)
    )
    supervisor.wait_ready("docker", lambda: _responds(engine), timeout_seconds=READY_TIMEOUT_SECONDS)


def _responds(engine: Engine) -> bool:
    try:
        engine.docker("version", timeout_seconds=5)
    except InstallFailed:
        return False
    return True


def _socket(folder: Path) -> str:
    return f"unix://{folder / 'docker.sock'}"
