"""A test that hangs fails alone and the run goes on; one setting scales every limit."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.time_limits import MAX_AUTOMATIC_SCALE, SETTING, scale, scaled
from tests.support.time_limits_plugin import TEST_SECONDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
HANGING = ROOT / "tests" / "support" / "hanging.py"


def run_hanging(*options: str, test_seconds: float) -> tuple[set[tuple[str, str]], str]:
    """Return how each part of the hanging tests ended, and what pytest printed."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [
            *(sys.executable, "-m", "pytest", "-rA", "--tb=line", "-p", "no:cacheprovider", *options),
            str(HANGING),
        ],
        cwd=ROOT,
        env=_environment() | {SETTING: str(test_seconds / TEST_SECONDS)},
        capture_output=True,
        text=True,
        timeout=scaled(150),
    )
    printed = done.stdout + done.stderr
    lines = printed.rpartition("short test summary info")[2].splitlines()
    parts = [line.split(" - ")[0].split("::") for line in lines if "::" in line]
    return {(part[0].split()[0], part[1]) for part in parts}, printed


def _environment() -> dict[str, str]:
    """Return ours, without what pytest-xdist tells its workers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def test_a_hang_fails_alone_wherever_it_is() -> None:
    ended, printed = run_hanging(test_seconds=1)

    assert "INTERNALERROR" not in printed
    assert ended == {
        ("FAILED", "test_async"),
        ("FAILED", "test_in_a_busy_loop"),
        ("FAILED", "test_whose_cleanup_hangs"),
        ("FAILED", "test_that_swallows_its_cancellation"),
        ("FAILED", "test_by_hypothesis"),
        ("ERROR", "test_setup"),
        ("PASSED", "test_teardown"),
        ("ERROR", "test_teardown"),
        ("FAILED", "test_sync"),
        ("PASSED", "test_sync_teardown"),
        ("ERROR", "test_sync_teardown"),
        ("PASSED", "test_at_last"),
        ("PASSED", "test_that_changes_the_setting"),
    }, printed
    for name in ("test test_async", "fixture hangs_in_setup", "fixture hangs_in_teardown", "test test_sync"):
        assert f"TimeoutError: {name} took more than 1" in printed
    assert re.search(r"hanging\.py:\d+ hang", printed), "it does not show what the test waited for"


def test_a_test_that_changes_the_setting_shortens_no_teardown() -> None:
    """Let the servers of a whole session stop after such a test: it once ended the process under them."""
    ended, printed = run_hanging("-k", "changes", test_seconds=10)
    assert ended == {("PASSED", "test_that_changes_the_setting")}, printed


def test_the_last_resort_ends_a_process_and_not_the_run() -> None:
    ended, printed = run_hanging("-n1", "-k", "signal or last", test_seconds=0.3)

    assert ended == {("FAILED", "test_not_even_a_signal_interrupts"), ("PASSED", "test_at_last")}, printed
    assert "in test_not_even_a_signal_interrupts" in printed, "it does not show where the thread was"


@pytest.mark.parametrize(
    ("load", "expected"), [(0.0, 1.0), (1.0, 1.0), (3.0, 3.0), (20.0, MAX_AUTOMATIC_SCALE)]
)
def test_limits_follow_the_load_of_each_core(
    monkeypatch: pytest.MonkeyPatch, load: float, expected: float
) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (load * (os.cpu_count() or 1), 0.0, 0.0))

    assert scaled(10) == pytest.approx(10 * expected)


async def test_the_setting_comes_before_the_load_and_scales_waits_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1000.0, 0.0, 0.0))
    monkeypatch.setenv(SETTING, "0.001")

    assert scale() == 0.001
    with pytest.raises(TimeoutError, match=r"after 0\.03 seconds"):
        await eventually(lambda: False, timeout_seconds=30)
