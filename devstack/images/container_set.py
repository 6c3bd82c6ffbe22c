"""docker-compose.yml as it is, brought up from a new .env, with what a machine without a network needs."""

import json
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from devstack.errors import InstallFailed, NotReady
from devstack.images.engine import Engine
from devstack.process import commands
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Command, Supervisor
from devstack.servers.app_processes import ROOT

COMPOSE_FILE = ROOT / "docker-compose.yml"
PROJECT = "darkroom-try"
# Of the set's network that leads outside: where the resolver below listens.
SUBNET, GATEWAY = "172.31.250.0/24", "172.31.250.1"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILD_TIMEOUT_SECONDS = 30 * 60.0
UP_TIMEOUT_SECONDS = 5 * 60.0
DOWN_TIMEOUT_SECONDS = 4 * 60.0
READY_TIMEOUT_SECONDS = 10.0


def prepare(engine: Engine) -> tuple[Engine, dict[str, str]]:
    """Write .env and an override; return the engine whose Compose reads them, and the values of .env."""
    folder = engine.folder / "set"
    (folder / "deploy").mkdir(parents=True)
    shutil.copy(ROOT / ".env.example", folder)
    shutil.copy(ROOT / "deploy" / "make-env", folder / "deploy")
    made = commands.run(
        [str(folder / "deploy" / "make-env")], env=engine.env, timeout_seconds=10, stop=engine.stop
    )
    if made.returncode != 0:
        raise InstallFailed(f"deploy/make-env: {made.stderr.strip()}")
    override = folder / "override.json"
    override.write_text(json.dumps(_override()))
    arguments = (
        f"--project-name={PROJECT}",
        f"--env-file={folder / '.env'}",
        f"--file={COMPOSE_FILE}",
        f"--file={override}",
    )
    return replace(engine, compose_arguments=arguments), read_env(folder / ".env")


def read_env(path: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line and line[0] != "#")
    return {name: value for name, _, value in pairs}


def build(engine: Engine) -> None:
    """Build our images as a user does, with this machine's certificate authorities as the build's secret."""
    certificates = {"BUILD_CA_FILE": str(CERTIFICATES)} if CERTIFICATES.exists() else {}
    engine.compose_aloud(
        "building darkroom-app and darkroom-minio (usually 4 minutes)",
        "build",
        timeout_seconds=BUILD_TIMEOUT_SECONDS,
        env=certificates,
    )


@contextmanager
def running(engine: Engine, supervisor: Supervisor) -> Iterator[None]:
    """Bring the set up and wait until all of it is healthy; in the end take it down with its data."""
    _refuse_busy_ports(configuration(engine))
    _start_resolver(engine, supervisor)
    try:
        up(engine)
        yield
    except (InstallFailed, NotReady):
        engine.log(engine.compose("logs", "--no-color", "--tail", "15"))
        raise
    finally:
        # Also after a signal, which the flag would tell every command at once.
        _down(replace(engine, stop=StopFlag()))


def up(engine: Engine, *arguments: str) -> None:
    engine.compose_aloud(
        f"bringing up {' '.join(arguments) or 'the set'}",
        "up",
        "--detach",
        "--wait",
        "--no-build",
        *arguments,
        timeout_seconds=UP_TIMEOUT_SECONDS,
    )


def configuration(engine: Engine) -> dict[str, Any]:
    """Return the set as Compose reads it."""
    found: dict[str, Any] = json.loads(engine.compose("config", "--format", "json"))
    return found


def published_ports(service: Mapping[str, Any]) -> set[tuple[str, int]]:
    return {(port["host_ip"], int(port["published"])) for port in service.get("ports", [])}


def _override() -> dict[str, Any]:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    return {
        "services": {
            name: {"dns": [GATEWAY]} | ({"build": {"network": "host"}} if "build" in service else {})
            for name, service in services.items()
        },
        "networks": {"outside": {"ipam": {"config": [{"subnet": SUBNET, "gateway": GATEWAY}]}}},
    }


def _refuse_busy_ports(config: Mapping[str, Any]) -> None:
    for service in config["services"].values():
        for host, port in published_ports(service):
            with closing(socket.socket()) as attempt:
                if attempt.connect_ex((host, port)) == 0:
                    raise InstallFailed(
                        f"{host}:{port} is in use, and the set publishes it: stop what listens there"
                    )


def _start_resolver(engine: Engine, supervisor: Supervisor) -> None:
    """Start what answers names outside the set: the machine's own resolver may never answer at all."""
    argv = (sys.executable, "-m", "devstack.images.resolver", GATEWAY)
    supervisor.start(Command("resolver", argv, engine.env, cwd=ROOT))
    supervisor.wait_ready(
        "resolver", lambda: bool(supervisor.logs.tail("resolver")), timeout_seconds=READY_TIMEOUT_SECONDS
    )


def _down(engine: Engine) -> None:
    engine.compose_aloud(
        "taking the set down", "down", "--volumes", "--timeout", "5", timeout_seconds=DOWN_TIMEOUT_SECONDS
    )
