"""A worker's memory with few and with many generations that wait for their provider, and the baseline's.

The jobs last for a day and are not polled, so nothing moves: what is measured is what waiting costs.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.baseline.target import BaselineTarget, baseline_target
from benchmarks.darkroom_target import REQUEST, DarkroomTarget, darkroom_target
from benchmarks.errors import RunFailed
from benchmarks.options import Options
from benchmarks.pair import BASELINE, DARKROOM
from benchmarks.report import Goal, Result, Table
from benchmarks.stacks import SETTINGS, bench_stack
from benchmarks.waiting import wait_until
from devstack.process.log import log
from devstack.servers.app_processes import ROOT

FEW, MANY = 500, 5_000
MAX_RATIO = 1.7
_DAY_SECONDS = 86_400
_LANES = 20
_WAIT_SECONDS = 900.0
# After the last has begun to wait: what is freed only a moment later does not count.
_SETTLE_SECONDS = 5.0
_GENERATING = "SELECT count(*) FROM generations WHERE stage = 'generating'"
# In the catalog: what comes before the value, and the value.
_FAL_SLOTS = r"(\[providers\.fal\]\n(?:[^\[]*\n)?max_concurrent = )\d+"
_MODEL_TIMING = r"(\[models\.flux-schnell\]\n(?:(?!\[models)[^\n]*\n)*timing = )\{[^}]*\}"
_NEVER_POLLED = (
    f"{{ first_poll_seconds = {_DAY_SECONDS}, poll_factor = 1, max_poll_seconds = {_DAY_SECONDS},"
    f" poll_jitter = 0, deadline_seconds = {_DAY_SECONDS} }}"
)
_LIMITS = {
    "TENANT_CREATE_BURST": "20000",
    "TENANT_CREATES_PER_SECOND": "20000",
    "TENANT_MAX_WAITING_GENERATIONS": "20000",
    "TENANT_MAX_OPEN_GENERATIONS": "20000",
}


@dataclass(frozen=True)
class Waiting:
    """Resident memory of a worker process with so many waiting. children: of those that decode images."""

    count: int
    bytes: int
    children_bytes: int


async def measure(options: Options) -> Result:
    counts = [options.scaled(FEW), options.scaled(MANY)]
    with tempfile.TemporaryDirectory() as folder:
        settings = SETTINGS | _LIMITS | {"MODELS_FILE": str(_patient_models(Path(folder)))}
        async with bench_stack(
            options.stop, temporal=options.temporal, settings=settings, job_seconds=_DAY_SECONDS
        ) as on:
            request = REQUEST | {"prompt": f"[sim:latency={_DAY_SECONDS}] a lighthouse in the fog"}
            async with darkroom_target(on.address, request, connections=_LANES) as darkroom:
                ours = await _grow(counts, on.pids["worker"], _post(darkroom))
            async with baseline_target(on.client, on.where, job_seconds=0) as baseline:
                theirs = await _grow(counts, baseline.worker_pid, _start(baseline))
    return _result({DARKROOM: ours, BASELINE: theirs})


def _patient_models(folder: Path) -> Path:
    """Write a catalog whose provider has a slot for all of them, and a model that is not polled."""
    text = (ROOT / "models.toml").read_text()
    for pattern, replacement in ((_FAL_SLOTS, "10000"), (_MODEL_TIMING, _NEVER_POLLED)):
        text, replaced = re.subn(pattern, rf"\g<1>{replacement}", text)
        if replaced != 1:
            raise RunFailed("models.toml has changed its form: adapt benchmarks/memory.py")
    path = folder / "models.toml"
    path.write_text(text)
    return path


Begin = Callable[[int], Awaitable[None]]


def _post(target: DarkroomTarget) -> Begin:
    async def begin(wanted: int) -> None:
        already = int(await target.connection.fetchval(_GENERATING))
        await _in_lanes(target.post, wanted - already)

        async def all_wait() -> bool:
            return int(await target.connection.fetchval(_GENERATING)) >= wanted

        await wait_until(all_wait, seconds=_WAIT_SECONDS, what=f"{wanted} do not wait yet")

    return begin


def _start(target: BaselineTarget) -> Begin:
    started = 0

    async def begin(wanted: int) -> None:
        nonlocal started
        await _in_lanes(target.start, wanted - started)
        started = wanted

    return begin


async def _in_lanes(call: Callable[[], Awaitable[object]], count: int) -> None:
    numbers = iter(range(count))

    async def lane() -> None:
        for _ in numbers:
            await call()

    async with asyncio.timeout(_WAIT_SECONDS), asyncio.TaskGroup() as lanes:
        for _ in range(_LANES):
            lanes.create_task(lane())


async def _grow(counts: list[int], pid: int, begin: Begin) -> list[Waiting]:
    found = []
    for count in counts:
        log(f"until {count} wait …")
        await begin(count)
        await asyncio.sleep(_SETTLE_SECONDS)
        worker = psutil.Process(pid)
        children = sum(child.memory_info().rss for child in worker.children(recursive=True))
        found.append(Waiting(count, worker.memory_info().rss, children))
    return found


def _result(found: dict[str, list[Waiting]]) -> Result:
    rows = []
    ratios = {}
    for name, (few, many) in found.items():
        ratios[name] = many.bytes / few.bytes
        kilobytes = (many.bytes - few.bytes) / max(1, many.count - few.count) / 1024
        sizes = [f"{each.bytes / 2**20:.0f} MiB" for each in (few, many)]
        decoders = f"{many.children_bytes / 2**20:.0f} MiB"
        rows.append((name, *sizes, f"{ratios[name]:.2f}", f"{kilobytes:.1f} KiB", decoders))
    few, many = found[DARKROOM]
    headings = (
        "",
        f"{few.count} wait",
        f"{many.count} wait",
        "ratio",
        "for each more",
        "its decoders besides",
    )
    return Result(
        [Table("Resident memory of a worker process", headings, rows)],
        [Goal(f"memory at {many.count} waiting to {few.count}", ratios[DARKROOM], at_most=MAX_RATIO)],
        numbers={
            name: {"waiting": [each.count for each in waits], "bytes": [each.bytes for each in waits]}
            for name, waits in found.items()
        },
    )
