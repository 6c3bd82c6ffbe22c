"""The comparison with DBOS: what is compared with what, and when nothing is said."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.dbos.__main__ import parser
from benchmarks.dbos.compare import OWN_PARTS, Comparison, Round, compare
from benchmarks.dbos.environment import FOLDER, LOCK, ready_python
from benchmarks.dbos.report import result
from benchmarks.dbos.side import side_environment, with_database
from benchmarks.load import Sample
from benchmarks.report import show
from devstack.errors import InstallFailed
from devstack.process.data_directory import DataDir
from devstack.process.log import silent
from devstack.servers.app_processes import ROOT

OURS = {"worker": 40.0, "api": 10.0, "postgres": 8.0, "s3": 2.0, "temporal": 50.0, "simulator": 7.0}
THEIRS = {
    "dbos worker": 55.0,
    "dbos api": 15.0,
    "postgres": 12.0,
    "s3": 2.0,
    "temporal": 1.0,
    "simulator": 7.0,
}


def rounds(cpu_ms: dict[str, float], *rates: float) -> list[Round]:
    return [Round(rate, cpu_ms) for rate in rates]


def test_our_own_parts_are_compared_with_all_of_dbos() -> None:
    found = Comparison(rounds(OURS, 10, 10.5), rounds(THEIRS, 8, 8.4))

    assert found.row(OWN_PARTS).darkroom == [60.0, 60.0]
    assert found.row(OWN_PARTS).dbos == [84.0, 84.0]
    assert found.row(OWN_PARTS).ratio == pytest.approx(60 / 84)
    assert found.row("the whole").ratio == pytest.approx(110 / 84)
    assert found.throughput.ratio == pytest.approx(1.25)


def test_one_process_of_dbos_is_compared_with_both_of_ours() -> None:
    both = {"dbos worker and api": 70.0, "postgres": 12.0, "s3": 2.0}
    found = Comparison(rounds(OURS, 10, 10), rounds(both, 8, 8))

    assert found.row("worker").dbos == found.row("API").dbos == []
    assert found.row("worker").ratio is None
    assert found.row("worker and API").ratio == pytest.approx(50 / 70)
    assert found.row(OWN_PARTS).ratio == pytest.approx(60 / 84)


@pytest.mark.parametrize(("ours", "theirs"), [([10, 11.5], [8, 8]), ([10, 10], [8, 9]), ([10], [8])])
def test_no_ratio_is_told_of_rounds_that_differ_or_of_one_alone(
    ours: Sequence[float], theirs: Sequence[float]
) -> None:
    assert Comparison(rounds(OURS, *ours), rounds(THEIRS, *theirs)).throughput.ratio is None


def test_the_report_has_every_part_and_the_goal() -> None:
    found, output = Comparison(rounds(OURS, 10, 14), rounds(THEIRS, 8, 8)), io.StringIO()
    show(result(found), Console(file=output))

    text = output.getvalue()
    assert "not resolved" in text
    assert "0.71" in text
    assert "≤ 0.75" in text
    assert all(part in text for part in ("worker", "API", "PostgreSQL", "object store", "Temporal", "client"))
    numbers = result(found).numbers
    assert numbers["generations a second"] == {"darkroom": [10, 14], "dbos": [8, 8], "ratio": None}
    assert numbers["worker"]["ratio"] == pytest.approx(0.727)


class CountingSide:
    """Notes in a shared list whose sample was taken."""

    def __init__(self, name: str, taken: list[str]) -> None:
        self._name, self._taken = name, taken

    async def sample(self) -> Sample:
        self._taken.append(self._name)
        return Sample(self._name, 0.1, 0.1)


async def test_the_sides_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.dbos.compare.SETTLE_SECONDS", 0)
    taken: list[str] = []
    sides = (CountingSide("a", taken), CountingSide("b", taken))
    found = await compare(sides, {}, generations=2, at_once=1, rounds=2, log=silent)

    assert taken == ["a", "a", "b", "b"] * 3  # the first is the warm-up
    assert (len(found.darkroom), len(found.dbos)) == (2, 2)


def test_the_side_has_darkrooms_settings_at_addresses_of_its_own(tmp_path: Path) -> None:
    url = with_database("postgresql://user:word@127.0.0.1:5/darkroom", "other")
    ours = {"API_PORT": "1", "PUBLIC_URL": "http://127.0.0.1:1", "S3_BUCKET": "images", "FAL_KEY": "key"}
    env = side_environment(ours, DataDir(tmp_path), url, 0.5)

    assert env["DATABASE_URL"] == "postgresql://user:word@127.0.0.1:5/other"
    assert env["DBOS_DATABASE_URL"].endswith(":5/dbos_system")
    assert env["PUBLIC_URL"] == f"http://127.0.0.1:{env['API_PORT']}" != ours["PUBLIC_URL"]
    assert (env["S3_BUCKET"], env["FAL_KEY"]) == ("images", "key")


def test_the_environment_is_made_once_for_each_lock(tmp_path: Path) -> None:
    commands: list[Sequence[str]] = []

    def make(argv: Sequence[str]) -> None:
        commands.append(argv)
        python = tmp_path / FOLDER / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()

    (tmp_path / LOCK).write_text("a==1")
    for _ in range(2):
        assert ready_python(silent, root=tmp_path, run=make) == tmp_path / FOLDER / "bin" / "python"
    assert len(commands) == 2
    assert {"--require-hashes", "--no-deps", str(tmp_path / LOCK)} <= set(commands[1])

    (tmp_path / LOCK).write_text("a==2")
    ready_python(silent, root=tmp_path, run=make)
    assert len(commands) == 4


def test_an_environment_that_could_not_be_made_is_made_again(tmp_path: Path) -> None:
    def fail(_argv: Sequence[str]) -> None:
        raise InstallFailed("no network")

    (tmp_path / LOCK).write_text("a==1")
    for _ in range(2):
        with pytest.raises(InstallFailed):
            ready_python(silent, root=tmp_path, run=fail)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--generations", "1001"], ["--at-once", "0"]])
def test_options_have_bounds(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(arguments)
    assert "invalid choice" in capsys.readouterr().err


def test_dbos_is_imported_by_one_module_that_nothing_else_needs() -> None:
    modules = [path for path in ROOT.rglob("*.py") if not path.relative_to(ROOT).parts[0].startswith(".")]
    importing = [
        path for path in modules if re.search(r"^(import|from) dbos\b", path.read_text(), re.MULTILINE)
    ]

    assert [path.relative_to(ROOT).as_posix() for path in importing] == ["benchmarks/dbos/engine.py"]
