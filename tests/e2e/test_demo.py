"""The demonstration, run as a newcomer runs it."""

import signal
from pathlib import Path

import psutil
import pytest

from devstack.process.signals import wait_gone
from tests.devstack.running import devstack
from tests.support.time_limits import scaled

DEMO_TIMEOUT_SECONDS = 150.0

pytestmark = pytest.mark.needs_servers


def test_the_demo_finishes_every_kind_and_proves_it(tmp_path: Path) -> None:
    with devstack("demo", output=tmp_path / "demo.txt") as demo:
        exit_code = demo.process.wait(scaled(DEMO_TIMEOUT_SECONDS))

    assert exit_code == 0, demo.output
    assert "All checks passed" in demo.output
    images = ("webhook 0", "webhook 1", "polling", "replicate", "bfl", "edit", "reference")
    assert demo.output.count("bytes, whole") == len(images)


async def test_a_demo_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    with devstack("demo", output=tmp_path / "demo.txt") as demo:
        await demo.says("generating")
        children = [child.pid for child in psutil.Process(demo.process.pid).children(recursive=True)]
        exit_code = demo.end(signal.SIGINT)

    assert exit_code == 130
    assert len(children) >= len(("postgres", "temporal", "s3", "simulator", "worker", "api"))
    assert wait_gone(children, 1.0) == set()
