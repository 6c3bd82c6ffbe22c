"""`make bench` as a user runs it, as short as possible. No number is asserted: machines differ."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from benchmarks.temporal.on_postgres import postgres_binaries
from devstack.errors import InstallFailed
from devstack.servers.app_processes import ROOT
from tests.support.time_limits import scaled

BENCH_TIMEOUT_SECONDS = 150.0
TINY = ("--generations", "3", "--at-once", "2", "--idle-samples", "2")


@pytest.mark.needs_servers
async def test_a_tiny_run_measures_everything(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    bench = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", *TINY, "--json", str(path)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(scaled(BENCH_TIMEOUT_SECONDS)):
            printed = (await bench.communicate())[0].decode()
    finally:
        if bench.returncode is None:
            bench.terminate()
            await bench.wait()

    assert bench.returncode == 0, printed
    assert "≥ 0.6" in printed
    numbers = json.loads(path.read_text())
    measured = ("generations_per_second", "bare_workflows_per_second", "ratio", "events_per_generation")
    assert all(numbers[name] > 0 for name in measured)
    assert numbers["accept"]["samples"] == numbers["webhook_to_completed"]["samples"] == 2
    # The same shape: ours has more events only for what operators see.
    assert 20 <= numbers["events_per_bare_workflow"] <= numbers["events_per_generation"]
    assert {"worker", "api", "temporal", "postgres", "baseline worker"} <= numbers[
        "cpu_ms_per_generation"
    ].keys()
    assert numbers["machine"]["cores"] > 0


def test_a_missing_postgresql_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallFailed, match="apt install postgresql"):
        postgres_binaries(debian=tmp_path)
