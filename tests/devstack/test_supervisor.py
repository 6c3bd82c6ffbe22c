"""Children are restarted, ended in order, and never left running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.errors import NotReady
from devstack.process.log_files import LOG_BYTES_MAX, LogFiles
from devstack.process.private_files import read_json_object, write_private_json
from devstack.process.process_id import start_mark
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import PIDS_FILE, Supervisor, end_orphans, living
from tests.devstack.conftest import python_child, start
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]


async def test_a_child_that_dies_is_started_again_each_time_after_a_longer_pause(
    supervisor: Supervisor, said: list[str]
) -> None:
    first = start(supervisor, python_child("part", ""))
    os.kill(first, signal.SIGKILL)
    second = await eventually(lambda: _other_pid(supervisor, first))
    os.kill(second, signal.SIGTERM)
    await eventually(lambda: _other_pid(supervisor, second))

    assert [line.split(" (log")[0] for line in said] == [
        "part ended with SIGKILL; starting it again in 0.5 s",
        "part ended with SIGTERM; starting it again in 1 s",
    ]


async def test_the_pids_on_disk_follow_a_restart(supervisor: Supervisor, folder: Path) -> None:
    first = start(supervisor, python_child("part", ""))
    os.kill(first, signal.SIGKILL)
    second = await eventually(lambda: _other_pid(supervisor, first))

    assert living(folder) == {"supervisor": os.getpid(), "part": second}


def test_a_child_that_dies_before_it_is_ready_is_reported_with_its_log(supervisor: Supervisor) -> None:
    supervisor.start(python_child("part", "sys.exit('no such port')"))

    with pytest.raises(NotReady, match=r"part ended with exit status 1.*\n.*no such port"):
        supervisor.wait_ready("part", lambda: False, timeout_seconds=10)


def test_a_child_that_never_responds_is_reported_after_the_timeout(supervisor: Supervisor) -> None:
    supervisor.start(python_child("part", ""))

    with pytest.raises(NotReady, match="part was not ready within 0 s"):
        supervisor.wait_ready("part", lambda: False, timeout_seconds=0.2)


def test_children_end_in_reverse_order(tmp_path: Path) -> None:
    with Supervisor(tmp_path, stop=StopFlag()) as supervisor:
        for name in ("first", "second"):
            start(supervisor, python_child(name, _writes_its_end(tmp_path, name)))

    assert (tmp_path / "ends").read_text().split() == ["second", "first"]


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    with Supervisor(tmp_path, stop=StopFlag()) as supervisor:
        deaf = python_child("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", stop_timeout_seconds=0.2)
        pid = start(supervisor, deaf)

    assert start_mark(pid) is None


def test_a_paused_child_ends_with_the_rest(tmp_path: Path) -> None:
    with Supervisor(tmp_path, stop=StopFlag()) as supervisor:
        start(supervisor, python_child("part", _writes_its_end(tmp_path, "part")))
        os.kill(supervisor.pids["part"], signal.SIGSTOP)

    assert (tmp_path / "ends").read_text().split() == ["part"]


def test_the_next_run_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from devstack.process.supervisor import Supervisor\n"
        "from devstack.process.stop_flag import StopFlag\n"
        "from tests.devstack.conftest import python_child, start\n"
        "with Supervisor(Path(sys.argv[1]), stop=StopFlag()) as supervisor:\n"
        "    start(supervisor, python_child('part', ''))\n"
        "    print('ready', flush=True)\n"
        "    StopFlag().wait(60)\n"
    )
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        run.kill()
    orphan = living(tmp_path)["part"]

    assert end_orphans(tmp_path) == ["part"]
    assert start_mark(orphan) is None


def test_another_process_with_an_orphans_pid_is_left_alone(supervisor: Supervisor, folder: Path) -> None:
    stranger = start(supervisor, python_child("part", ""))
    recorded = read_json_object(folder / PIDS_FILE)
    recorded["part"]["mark"] = "another start"
    write_private_json(folder / PIDS_FILE, recorded)

    assert end_orphans(folder) == []
    assert start_mark(stranger) is not None


def test_a_full_log_is_set_aside_and_the_child_writes_on(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    output = logs.open("part")
    os.truncate(logs.path("part"), LOG_BYTES_MAX + 1)
    logs.cap("part")
    os.write(output, b"on it goes")
    os.close(output)

    assert logs.path("part").read_text() == "on it goes"
    assert (tmp_path / "part.log.1").stat().st_size == LOG_BYTES_MAX + 1


async def _other_pid(supervisor: Supervisor, pid: int) -> int:
    """Return the process's pid once it has changed."""
    now = supervisor.pids["part"]
    return now if now != pid else 0


def _writes_its_end(folder: Path, name: str) -> str:
    return (
        "def end(number, frame):\n"
        f"    open({str(folder / 'ends')!r}, 'a').write('{name} ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)"
    )
