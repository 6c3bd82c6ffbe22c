"""Many clients that wait at one API process: what they cost while nothing happens, and how soon they hear.

Half of them wait for the end of a generation with `?wait=60`, half follow its stream. The jobs hang at their
provider until they are canceled, so that nothing else moves.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field

import asyncpg
import httpx
import psutil

from benchmarks.cpu import cpu_seconds
from benchmarks.darkroom_target import REQUEST, darkroom_target
from benchmarks.errors import RunFailed
from benchmarks.options import Options
from benchmarks.percentiles import Spread
from benchmarks.report import Goal, Result, Table
from benchmarks.stacks import SETTINGS, BenchStack, bench_stack
from benchmarks.waiting import wait_until
from devstack.process.log import log
from runtime.descriptors import raise_descriptor_limit

CLIENTS, CLIENTS_PER_JOB = 2_000, 10
# Of one core. A process without any that wait does nothing.
MAX_CPU_AT_REST = 0.1
_REST_SECONDS = 10.0
_SETTLE_SECONDS = 3.0
_REQUEST_SECONDS = 90.0
_CONNECTED_SECONDS = 120.0
_BETWEEN_CANCELS_SECONDS = 0.05
_DAY_SECONDS = 86_400
_LIMITS = {"TENANT_CREATE_BURST": "20000", "TENANT_CANCEL_BURST": "20000", "TENANT_READ_BURST": "50000"}
_COMMITTED = """
    SELECT generation_id, extract(epoch FROM created_at)::float8 AS at FROM events
    WHERE type = 'generation.canceled' AND generation_id = ANY ($1)
"""


@dataclass
class Heard:
    """When clients heard of the end of each generation, in Unix seconds, by how they waited."""

    waits: list[tuple[str, float]] = field(default_factory=list)
    streams: list[tuple[str, float]] = field(default_factory=list)
    connected: int = 0


@dataclass(frozen=True)
class Rest:
    """What an API process takes: memory in bytes, and processor time as a share of one core."""

    bytes: int
    cpu: float


async def measure(options: Options) -> Result:
    raise_descriptor_limit()
    count = options.scaled(CLIENTS)
    async with bench_stack(
        options.stop, temporal=options.temporal, settings=SETTINGS | _LIMITS, job_seconds=_DAY_SECONDS
    ) as on:
        request = REQUEST | {"prompt": f"[sim:latency={_DAY_SECONDS}] a lighthouse in the fog"}
        async with darkroom_target(on.address, request) as target:
            jobs = [(await target.post())[0] for _ in range(max(1, count // CLIENTS_PER_JOB))]
            await asyncio.sleep(_SETTLE_SECONDS)
            return await _measure(on, target.connection, jobs, count)


async def _measure(on: BenchStack, connection: asyncpg.Connection, jobs: list[str], count: int) -> Result:
    without = await _rest(on)
    heard = Heard()
    limits = httpx.Limits(max_connections=count + 10)
    async with httpx.AsyncClient(
        base_url=on.stack.api_url,
        headers=on.stack.authorization,
        timeout=_REQUEST_SECONDS,
        limits=limits,
        trust_env=False,
    ) as http:
        log(f"{count} clients begin to wait …")
        clients = [
            asyncio.create_task((_stream if number % 2 else _wait)(http, jobs[number % len(jobs)], heard))
            for number in range(count)
        ]

        async def all_wait() -> bool:
            return heard.connected >= count // 2

        await wait_until(all_wait, seconds=_CONNECTED_SECONDS, what="some clients do not wait yet")
        await asyncio.sleep(_SETTLE_SECONDS)
        waiting = await _rest(on)
        log("the jobs are canceled …")
        for job in jobs:
            (await http.post(f"/v1/generations/{job}/cancel")).raise_for_status()
            await asyncio.sleep(_BETWEEN_CANCELS_SECONDS)
        async with asyncio.timeout(_REQUEST_SECONDS):
            await asyncio.gather(*clients)
    committed = {row["generation_id"]: row["at"] for row in await connection.fetch(_COMMITTED, jobs)}
    return _result(count, without, waiting, heard, committed)


async def _wait(http: httpx.AsyncClient, job: str, heard: Heard) -> None:
    """Wait for the end as a client does: again, if it has not come within a minute."""
    while True:
        response = await http.get(f"/v1/generations/{job}", params={"wait": 60})
        if response.raise_for_status().json()["status"] == "canceled":
            heard.waits.append((job, time.time()))
            return


async def _stream(http: httpx.AsyncClient, job: str, heard: Heard) -> None:
    headers = {"Accept": "text/event-stream"}
    async with http.stream("GET", f"/v1/generations/{job}/events", headers=headers) as response:
        response.raise_for_status()
        heard.connected += 1
        async for line in response.aiter_lines():
            if line.startswith("data: ") and json.loads(line[6:])["type"] == "generation.canceled":
                heard.streams.append((job, time.time()))
                return
    raise RunFailed("a stream ended before its generation")


async def _rest(on: BenchStack) -> Rest:
    """Measure the API process for some seconds in which nothing happens."""
    pid = on.pids["api"]
    before = cpu_seconds({"api": pid})["api"]
    begun = time.perf_counter()
    await asyncio.sleep(_REST_SECONDS)
    spent = cpu_seconds({"api": pid})["api"] - before
    return Rest(psutil.Process(pid).memory_info().rss, spent / (time.perf_counter() - begun))


def _result(count: int, without: Rest, waiting: Rest, heard: Heard, committed: dict[str, float]) -> Result:
    latencies = {
        name: Spread.of([at - committed[job] for job, at in found])
        for name, found in (("waits", heard.waits), ("streams", heard.streams))
    }
    kilobytes = (waiting.bytes - without.bytes) / count / 1024
    megabytes = [each.bytes / 2**20 for each in (without, waiting)]
    rows = [
        ("memory", f"{megabytes[0]:.0f} MiB", f"{megabytes[1]:.0f} MiB ({kilobytes:.0f} KiB each)"),
        ("processor at rest", f"{without.cpu:.1%} of a core", f"{waiting.cpu:.1%} of a core"),
        *((f"commit to client, {name}", "", _text(spread)) for name, spread in latencies.items()),
    ]
    return Result(
        [Table(f"{count} clients that wait at one API process", ("", "none", "all"), rows)],
        [
            Goal("clients that heard, of all", (len(heard.waits) + len(heard.streams)) / count, at_least=1),
            Goal("processor at rest, in cores", waiting.cpu, at_most=MAX_CPU_AT_REST),
        ],
        numbers={
            "clients": count,
            "bytes": {"none": without.bytes, "all": waiting.bytes},
            "cpu_cores": {"none": round(without.cpu, 4), "all": round(waiting.cpu, 4)},
            "commit_to_client": {name: spread.as_json() for name, spread in latencies.items()},
        },
    )


def _text(spread: Spread) -> str:
    return f"p50 {1000 * spread.p50_seconds:.0f} ms, p99 {1000 * spread.p99_seconds:.0f} ms"
