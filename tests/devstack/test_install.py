"""Where servers are looked for, in which order, and what a failed build leaves."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from devstack.errors import InstallFailed, Interrupted
from devstack.install import programs
from devstack.install.cache import cache_dir, make_once
from devstack.install.programs import MINIO, TEMPORAL, S3Kind
from devstack.process.log import silent
from devstack.process.stop_flag import StopFlag

Tools = Callable[[str, str], Path]
ROOT = Path(__file__).parents[2]
GO_THAT_BUILDS = 'mkdir -p "$GOBIN" && echo "$2" > "$GOBIN/$(basename "${2%@*}")" && test -d "$GOTMPDIR"'


def find_temporal(log: Callable[[str], None] = silent) -> Path:
    return programs.temporal(stop=StopFlag(), log=log)


def test_temporal_is_named_or_on_path_or_cached_or_built(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools("go", GO_THAT_BUILDS)
    built = find_temporal()
    tools("go", "exit 1")
    again = find_temporal()
    on_path = tools("temporal", "")
    then = find_temporal()
    named = tools("my-temporal", "")
    monkeypatch.setenv("TEMPORAL_CLI", str(named))

    assert built == again == cache_dir() / f"temporal-{TEMPORAL.version}"
    assert built.read_text() == f"{TEMPORAL.package}@{TEMPORAL.version}\n"
    assert (then, find_temporal()) == (on_path, named)


def test_without_download_and_go_the_missing_cli_is_named_with_the_ways_out(
    tools: Tools, said: list[str]
) -> None:
    with pytest.raises(InstallFailed, match=r"no Go to build it.*TEMPORAL_CLI.*TEMPORAL_ADDRESS"):
        find_temporal(said.append)

    assert said == [f"{programs.DOWNLOAD_SITE} cannot be reached, so the Temporal CLI has to be built"]


def test_a_download_that_fails_is_followed_by_a_build(
    tools: Tools, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tools("go", GO_THAT_BUILDS)
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        # It answers, and has nothing: the SDK asks the real site, which the proxy of these tests is not.
        monkeypatch.setattr(programs, "DOWNLOAD_SITE", f"http://127.0.0.1:{site.server_port}/")
        built = find_temporal(said.append)
        site.shutdown()

    assert built.read_text() == f"{TEMPORAL.package}@{TEMPORAL.version}\n"
    assert "so the Temporal CLI has to be built" in said[1]


def test_a_temporal_cli_that_cannot_be_run_is_an_error(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CLI", "/nowhere/temporal")

    with pytest.raises(InstallFailed, match="TEMPORAL_CLI names /nowhere/temporal"):
        find_temporal()


def test_s3_is_minio_where_it_can_be_had_and_else_rclone(tools: Tools) -> None:
    without_go = programs.minio(stop=StopFlag(), log=silent)
    tools("go", GO_THAT_BUILDS)
    with_go = programs.minio(stop=StopFlag(), log=silent)

    assert without_go.kind is S3Kind.RCLONE
    assert (with_go.kind, with_go.path) == (S3Kind.MINIO, cache_dir() / f"minio-{MINIO.version}")


def test_a_failed_build_reports_why_and_leaves_nothing(tools: Tools) -> None:
    tools("go", 'mkdir "$GOCACHE"; echo "no such module"; exit 1')

    with pytest.raises(InstallFailed, match="no such module"):
        find_temporal()
    assert [path.name for path in cache_dir().iterdir()] == [f".temporal-{TEMPORAL.version}.lock"]


def test_a_signal_ends_a_build_and_leaves_nothing(tools: Tools) -> None:
    tools("go", "sleep 60")
    stop = StopFlag()
    stop.set()

    with pytest.raises(Interrupted):
        programs.temporal(stop=stop, log=silent)
    assert [path.name for path in cache_dir().iterdir()] == [f".temporal-{TEMPORAL.version}.lock"]


def test_a_killed_build_is_made_again_and_its_scraps_go(tools: Tools, tmp_path: Path) -> None:
    started = tmp_path / "started"
    tools("go", f"mkfifo {started}.fifo; touch {started}; read line < {started}.fifo")
    code = "from devstack.install import programs as p; p.temporal(stop=p.StopFlag(), log=lambda line: None)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as build:  # noqa: S603
        StopFlag().wait_until(started.exists, what="the build", timeout_seconds=20)
        build.send_signal(signal.SIGKILL)
    with (tmp_path / "started.fifo").open("w"):
        pass  # lets the killed build's compiler end
    scraps = list(cache_dir().glob(".*.making-*"))
    tools("go", GO_THAT_BUILDS)

    assert len(scraps) == 1
    assert find_temporal().exists()
    assert not scraps[0].exists()


def test_too_little_disk_space_is_reported_before_anything_is_built(tools: Tools) -> None:
    with pytest.raises(InstallFailed, match=r"needs about .* GB.*DARKROOM_CACHE"):
        make_once("big", lambda staging: staging, needed_bytes=10**18, stop=StopFlag(), log=silent)
