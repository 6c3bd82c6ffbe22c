"""How a process starts and ends, seen from outside."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[3]
END_TIMEOUT_SECONDS = 20.0
WAITING = """
async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("stopping")
    return 3
"""


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process as a background shell does: with SIGINT ignored."""
    program = (
        "import asyncio, logging, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from runtime.logs import configure_logging\nfrom runtime.process import leave, run\n"
        f"{code}\nrun(main)"
    )
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def ended(code: str) -> tuple[int, str, str]:
    """Return its exit code and both of its outputs."""
    with process(code) as running:
        output, errors = running.communicate(timeout=scaled(END_TIMEOUT_SECONDS))
        return running.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_for_the_end_and_the_program_ends_itself(number: signal.Signals) -> None:
    with process(WAITING) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        running.send_signal(number)
        output, errors = running.communicate(timeout=scaled(END_TIMEOUT_SECONDS))

    assert (running.returncode, output, errors) == (3, "stopping\n", "")


@pytest.mark.parametrize("code", [0, 1, 42])
def test_the_exit_code_is_what_the_program_returned(code: int) -> None:
    assert ended(f"async def main(stop):\n    return {code}")[0] == code


def test_an_error_is_logged_and_exits_1() -> None:
    code, _, errors = ended("async def main(stop):\n    raise ValueError('broken')")

    assert code == 1
    assert "ValueError: broken" in errors


def test_open_tasks_are_canceled_before_the_end() -> None:
    code, output, _ = ended(
        """
async def open_call():
    try:
        await asyncio.Event().wait()
    finally:
        print("let go")

async def main(stop):
    call = asyncio.create_task(open_call())
    await asyncio.sleep(0)
    return 0
"""
    )

    assert (code, output) == (0, "let go\n")


def test_a_broken_finalizer_changes_no_exit_code() -> None:
    code, output, _ = ended(
        """
import atexit, os
atexit.register(os._exit, 134)

async def main(stop):
    print("done")
    return 0
"""
    )

    assert (code, output) == (0, "done\n")


def test_nothing_that_others_wrote_looks_like_a_record_of_ours() -> None:
    _, _, errors = ended(
        """
async def main(stop):
    configure_logging("INFO")
    forged = "no\\n2026-01-15 12:00:00,000 INFO darkroom forged\\r\\x1b[2J\\u2028end"
    logging.getLogger("darkroom").info("the provider says: %s", forged)
    try:
        raise ValueError(forged)
    except ValueError:
        logging.getLogger("darkroom").exception("failed")
    return 0
"""
    )
    lines = errors.splitlines()
    records = [line for line in lines if line.startswith("20")]
    assert len(records) == 2, errors
    assert r"says: no\n2026" in records[0]
    assert "\x1b" not in records[0]
    assert all(line.startswith("    ") for line in lines if line not in records)


def test_addresses_that_httpx_asks_for_are_not_logged() -> None:
    _, _, errors = ended(
        """
async def main(stop):
    configure_logging("INFO")
    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).info("GET https://fal.media/a?secret")
    logging.getLogger("darkroom").info("ready")
    return 0
"""
    )

    assert "secret" not in errors
    assert "INFO darkroom ready" in errors
