"""`make up`: found by stack.json, restarted after every kill, the only user of its data."""

import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.errors import AlreadyRunning, StackError
from devstack.process import data_directory
from devstack.stack import control
from devstack.stack.stack_file import STACK_FILE
from tests.devstack.running import Running, alive, devstack
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

READY = "Make an image:"
FACTS = {
    *(
        "api_url",
        "api_internal_url",
        "api_key",
        "tenant_id",
        "temporal_address",
        "temporal_namespace",
        "temporal_ui_url",
    ),
    *("s3_endpoint", "s3_access_key", "s3_secret_key", "s3_bucket", "database_url", "simulators", "pids"),
    "settings",
}
PARTS = {"supervisor", "postgres", "temporal", "s3", "simulator", "worker", "api"}

pytestmark = pytest.mark.needs_servers


@dataclass(frozen=True)
class Up:
    """A running `up`, and its data folder."""

    running: Running
    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.folder / STACK_FILE).read_text())
        return facts


@pytest.fixture(scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """Start one stack for the tests that leave it running."""
    with data_directory.temporary_folder() as folder, started(folder, tmp_path_factory.mktemp("up")) as up:
        await up.running.says(READY)
        yield up


@contextmanager
def started(folder: Path, output: Path) -> Iterator[Up]:
    with devstack("--data-dir", str(folder), "up", output=output / "up.txt") as running:
        yield Up(running, folder)


async def test_the_stack_is_found_by_its_private_file(up: Up) -> None:
    facts = up.facts
    mode = stat.S_IMODE((up.folder / STACK_FILE).stat().st_mode)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {facts['api_key']}"}) as client:
        models = await client.get(f"{facts['api_url']}/v1/models")

    assert (set(facts), set(facts["pids"]), mode) == (FACTS, PARTS, 0o600)
    assert facts["pids"]["supervisor"] == up.running.process.pid
    assert models.json()["data"]


async def test_its_operator_needs_no_settings(up: Up, tmp_path: Path) -> None:
    arguments = (
        "--data-dir",
        str(up.folder),
        "admin",
        "create-operator-key",
        "billing",
        "--reason",
        "a test",
    )
    with devstack(*arguments, output=tmp_path / "admin.txt") as admin:
        exit_code = admin.process.wait(scaled(30))
    assert exit_code == 0, admin.output
    assert json.loads(admin.output)["operator_key"].startswith("dkop_")


def test_without_a_stack_there_is_no_operator(folder: Path) -> None:
    with pytest.raises(StackError, match="no stack is running"):
        control.settings_of(folder)


async def test_a_killed_part_comes_back_with_its_new_pid_on_record(up: Up) -> None:
    before = up.facts
    control.act(up.folder, "kill", "api")

    async def is_back() -> bool:
        return up.facts["pids"]["api"] != before["pids"]["api"] and await _answers(before["api_url"])

    await eventually(is_back, 30)
    after = up.facts
    assert "api ended with SIGKILL; starting it again" in up.running.output
    assert {name: pid for name, pid in after["pids"].items() if name != "api"} == {
        name: pid for name, pid in before["pids"].items() if name != "api"
    }


async def test_a_paused_process_does_not_respond(up: Up) -> None:
    url = up.facts["api_url"]
    control.act(up.folder, "pause", "api")
    while_paused = await _answers(url)
    control.act(up.folder, "resume", "api")

    assert not while_paused
    assert await _answers(url)


async def test_the_data_has_one_user(up: Up, tmp_path: Path) -> None:
    with devstack("--data-dir", str(up.folder), "up", output=tmp_path / "second.txt") as second:
        exit_code = second.process.wait(30)
    with pytest.raises(AlreadyRunning):
        control.clean(up.folder)

    assert exit_code == 1
    assert f"already running on {up.folder} (pid {up.running.process.pid})" in second.output
    assert await _answers(up.facts["api_url"])


async def test_after_a_kill_of_everything_the_next_start_is_the_same_stack(
    folder: Path, tmp_path: Path
) -> None:
    with started(folder, tmp_path) as first:
        await first.running.says(READY)
        before = first.facts
        os.kill(before["pids"]["worker"], signal.SIGKILL)
        first.running.end(signal.SIGKILL)
    orphans = alive({name: pid for name, pid in before["pids"].items() if name != "worker"})
    with started(folder, tmp_path) as again:
        await again.running.says(READY)
        after = again.facts
        left_of_the_first = alive(before["pids"])
        exit_code = again.running.end(signal.SIGINT)

    assert orphans  # the children outlive a killed supervisor, so there was something to end
    assert left_of_the_first == set()
    assert {**after, "pids": None} == {**before, "pids": None}
    assert exit_code == 0
    assert alive(after["pids"]) == set()
    assert not (folder / STACK_FILE).exists()


def test_a_part_of_a_stack_that_does_not_run_cannot_be_killed(folder: Path) -> None:
    with pytest.raises(StackError, match="no stack is running"):
        control.act(folder, "kill", "api")


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=1) as client:
            return (await client.get(f"{url}/healthz")).is_success
    except httpx.HTTPError:
        return False
