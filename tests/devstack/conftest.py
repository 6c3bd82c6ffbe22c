"""Fixtures: child processes that do one thing, and scripts that replace tools."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack.process import data_directory
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Command, Supervisor


@pytest.fixture
def said() -> list[str]:
    """Return the logged lines."""
    return []


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a data folder that PostgreSQL's user can reach, unlike pytest's own."""
    with data_directory.temporary_folder() as folder:
        yield folder


@pytest.fixture
def supervisor(folder: Path, said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(folder, stop=StopFlag(), log=said.append) as supervisor:
        yield supervisor


def python_child(name: str, code: str, *, stop_timeout_seconds: float = 5.0) -> Command:
    """Return the command of a child that runs `code` and then waits."""
    waiting = f"import signal, sys, time\n{code}\nprint('up', flush=True)\ntime.sleep(600)"
    return Command(
        name, (sys.executable, "-c", waiting), dict(os.environ), stop_timeout_seconds=stop_timeout_seconds
    )


def start(supervisor: Supervisor, command: Command) -> int:
    """Start it, wait until it prints that it is up, and return its pid."""
    supervisor.start(command)
    name = command.name
    supervisor.wait_ready(name, lambda: "up" in supervisor.logs.tail(name), timeout_seconds=10)
    return supervisor.pids[name]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return a function that adds shell scripts to a minimal PATH; the cache is empty."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("DARKROOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEMPORAL_CLI", raising=False)
    # Nothing listens there, so nothing outside is reached, whatever network the machine has.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    def make(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make
