"""Temporary files of a killed process are removed by the next one, and those of a living one are not."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runtime.work_folder import clear_leftovers, work_folder
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[3]
_HOLD = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from runtime.work_folder import work_folder
with work_folder() as folder:
    tempfile.mkdtemp(prefix="darkroom-")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def held(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a folder."""
    process = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-c", _HOLD, str(root)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_all_temporary_files_are_in_it_and_go_with_it(root: Path) -> None:
    with work_folder() as folder:
        inside = tempfile.mkdtemp(prefix="darkroom-")
        assert Path(inside).parent == folder
    assert list(root.iterdir()) == []
    assert tempfile.gettempdir() == str(root)


def test_a_killed_process_leaves_what_the_next_one_removes(root: Path) -> None:
    process, folder = held(root)
    assert clear_leftovers(root) == 0
    assert folder.exists()

    process.kill()
    process.communicate(timeout=scaled(10))

    assert clear_leftovers(root) == 1
    assert not folder.exists()


def test_other_folders_are_left_alone(root: Path) -> None:
    (root / "darkroom-others").mkdir()
    (root / "darkroom-work-new").mkdir()  # its process has not locked it yet
    assert clear_leftovers(root) == 0
    assert len(list(root.iterdir())) == 2
