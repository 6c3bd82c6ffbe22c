"""`make bench` as a user runs it, as short as possible. No number is asserted: machines differ."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.temporal.on_postgres import postgres_binaries
from devstack.errors import InstallFailed
from devstack.servers.app_processes import ROOT
from tests.support.time_limits import scaled

BENCH_TIMEOUT_SECONDS = 170.0
TINY = ("--rounds", "1", "--generations", "3", "--at-once", "2", "--idle-samples", "2", "--scale", "0.001")


async def benchmarks(path: Path, *names: str) -> str:
    """Run benchmarks as short as possible; return what was printed."""
    bench = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", *names, *TINY, "--json", str(path)),
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
    return printed


def numbers_in(path: Path) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads(path.read_text())
    return numbers


@pytest.mark.needs_servers
async def test_without_a_name_throughput_and_latency_are_measured(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    printed = await benchmarks(path)

    assert "≥ 0.58" in printed
    numbers = numbers_in(path)
    assert "ratio" in numbers
    measured = ("generations_per_second", "bare_workflows_per_second", "events_per_generation")
    assert all(numbers[name] > 0 for name in measured)
    assert numbers["accept"]["samples"] >= 2
    # The same shape: ours has more events only for what operators see.
    assert 20 <= numbers["events_per_bare_workflow"] <= numbers["events_per_generation"]
    assert {"worker", "api", "temporal", "postgres"} <= numbers["cpu_ms_per_generation"].keys()
    assert numbers["machine"]["cores"] > 0


@pytest.mark.needs_servers
async def test_benchmarks_run_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    await benchmarks(path, "burst", "reserves")

    numbers = numbers_in(path)
    assert numbers["burst"]["goals"]["lost, or with credits still held"] == "ok"
    assert numbers["reserves"]["goals"]


def test_a_missing_postgresql_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallFailed, match="apt install postgresql"):
        postgres_binaries(debian=tmp_path)
