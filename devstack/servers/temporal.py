"""Temporal's development server with its UI, on a database file, as a child process."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import NotReady
from devstack.process import commands, ports
from devstack.process.data_directory import DataDir
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Command, Supervisor

NAME = "temporal"
NAMESPACE = "default"
READY_TIMEOUT_SECONDS = 60.0
CLI_TIMEOUT_SECONDS = 10.0

DYNAMIC_CONFIG: dict[str, object] = {
    # Without these two, server 1.29 ignores priority and fairness; several partitions blur them.
    "matching.useNewMatcher": True,
    "matching.enableFairness": True,
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
    # Operators' lists; the default of 10 a second is used up by one open UI and one script.
    "frontend.namespaceRPS.visibility": 100,
}


@dataclass(frozen=True)
class Temporal:
    """A running server. `address`: for gRPC. `ui_url`: for a browser, if it is known."""

    address: str
    ui_url: str | None
    namespace: str = NAMESPACE


def start(supervisor: Supervisor, data: DataDir, binary: Path) -> Temporal:
    """Start it and wait until its cluster is healthy."""
    port, ui_port = data.port(NAME), data.port("temporal_ui")
    # A newer server does not migrate an older one's file, so each version has its own.
    stop = supervisor.stop_flag
    database = data.path / f"temporal-{server_version(binary, stop)}.db"
    supervisor.start(_command(binary, database, port, ui_port))
    address = f"127.0.0.1:{port}"
    supervisor.wait_ready(
        NAME,
        lambda: ports.accepts_connections("127.0.0.1", port) and is_healthy(binary, address, stop),
        timeout_seconds=READY_TIMEOUT_SECONDS,
    )
    return Temporal(address, f"http://127.0.0.1:{ui_port}")


def server_version(binary: Path, stop: StopFlag) -> str:
    """Return the server's version from `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`."""
    printed = commands.run(
        [str(binary), "--version"], env=_environment(), timeout_seconds=CLI_TIMEOUT_SECONDS, stop=stop
    ).stdout
    match = re.search(r"Server (\d[\w.-]*)", printed)
    if match is None:
        raise NotReady(f"{binary} does not print its server's version: {printed.strip()!r}")
    return match.group(1)


def is_healthy(binary: Path, address: str, stop: StopFlag) -> bool:
    try:
        health = commands.run(
            [str(binary), "operator", "cluster", "health", "--address", address],
            env=_environment(),
            timeout_seconds=CLI_TIMEOUT_SECONDS,
            stop=stop,
        )
    except subprocess.TimeoutExpired:
        return False
    return health.returncode == 0 and "SERVING" in health.stdout


def _command(binary: Path, database: Path, port: int, ui_port: int) -> Command:
    dynamic = tuple(
        part
        for key, value in DYNAMIC_CONFIG.items()
        for part in ("--dynamic-config-value", f"{key}={json.dumps(value)}")
    )
    return Command(
        name=NAME,
        argv=(
            *(str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)),
            *("--ui-port", str(ui_port), "--db-filename", str(database), "--log-level", "warn"),
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"),
            *dynamic,
        ),
        env=_environment(),
        cwd=database.parent,
    )


def _environment() -> dict[str, str]:
    """Return our environment without TEMPORAL_*, from which the CLI reads addresses, keys and namespaces."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
