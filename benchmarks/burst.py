"""A burst of posts, all at the same moment: is each accepted, does each end, and how long does it take."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg
import httpx

from benchmarks.darkroom_target import REQUEST, darkroom_target
from benchmarks.options import Options
from benchmarks.pair import warm_up
from benchmarks.percentiles import Spread
from benchmarks.report import Goal, Result, Table
from benchmarks.stacks import BenchStack, bench_stack
from benchmarks.waiting import wait_until
from devstack.process.log import log
from runtime.descriptors import raise_descriptor_limit

POSTS = 2_000
_POST_SECONDS = 300.0
_DRAIN_SECONDS = 900.0
_OPEN = "SELECT count(*) FROM generations WHERE id = ANY ($1) AND finished_at IS NULL"
_ENDS = "SELECT status, count(*) FROM generations WHERE id = ANY ($1) GROUP BY status"
# What every hold has left behind once all have ended: nothing.
_HELD = "SELECT coalesce(sum(balance_credits), 0) FROM accounts WHERE kind = 'held'"


@dataclass
class Burst:
    """answers: how often each status came, or each error. accepted: ids, of those that got a 202."""

    answers: Counter[str] = field(default_factory=Counter)
    accept_seconds: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    answered_seconds: float = 0.0
    drained_seconds: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)
    held_credits: int = 0

    @property
    def lost(self) -> int:
        return len(self.accepted) - sum(self.ends.values())


async def measure(options: Options) -> Result:
    raise_descriptor_limit()
    count = options.scaled(POSTS)
    async with bench_stack(options.stop, temporal=options.temporal) as on:
        async with darkroom_target(on.address) as target:
            await warm_up(target)
        log(f"{count} posts at once …")
        burst = await _burst(on, count)
    return _result(burst, count)


async def _burst(on: BenchStack, count: int) -> Burst:
    burst = Burst()
    begun = time.perf_counter()
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(
        base_url=on.stack.api_url,
        headers=on.stack.authorization,
        timeout=_POST_SECONDS,
        limits=limits,
        trust_env=False,
    ) as http:
        await asyncio.gather(*(_post(http, burst) for _ in range(count)))
    burst.answered_seconds = time.perf_counter() - begun
    log(f"all answered after {burst.answered_seconds:.0f} s; waiting until all have ended …")
    connection = await asyncpg.connect(on.database_url, timeout=_POST_SECONDS)
    try:
        await _drain(connection, burst)
    finally:
        await connection.close(timeout=_POST_SECONDS)
    burst.drained_seconds = time.perf_counter() - begun
    return burst


async def _post(http: httpx.AsyncClient, burst: Burst) -> None:
    begun = time.perf_counter()
    try:
        response = await http.post("/v1/generations", json=REQUEST, headers={"Idempotency-Key": str(uuid4())})
    except httpx.HTTPError as error:
        burst.answers[type(error).__name__] += 1
        return
    burst.answers[str(response.status_code)] += 1
    if response.status_code == httpx.codes.ACCEPTED:
        burst.accept_seconds.append(time.perf_counter() - begun)
        burst.accepted.append(response.json()["id"])


async def _drain(connection: asyncpg.Connection, burst: Burst) -> None:
    async def is_drained() -> bool:
        return not await connection.fetchval(_OPEN, burst.accepted)

    await wait_until(is_drained, seconds=_DRAIN_SECONDS, what="the burst has not ended")
    burst.ends = {str(row[0]): int(row[1]) for row in await connection.fetch(_ENDS, burst.accepted)}
    burst.held_credits = int(await connection.fetchval(_HELD))


def _result(burst: Burst, count: int) -> Result:
    accept = Spread.of(burst.accept_seconds) if burst.accept_seconds else None
    rows = [
        ("answers", ", ".join(f"{each} times {answer}" for answer, each in burst.answers.items())),
        ("accept, p50 and p99", f"{accept.p50_seconds:.1f} s, {accept.p99_seconds:.1f} s" if accept else ""),
        ("the last answer after", f"{burst.answered_seconds:.0f} s"),
        ("all ended after", f"{burst.drained_seconds:.0f} s"),
        ("each second", f"{len(burst.accepted) / burst.drained_seconds:.1f}"),
        ("ended as", ", ".join(f"{each} times {status}" for status, each in burst.ends.items())),
        ("credits still held", str(burst.held_credits)),
    ]
    goals = [
        Goal("accepted, of all", len(burst.accepted) / count, at_least=1),
        Goal("lost, or with credits still held", burst.lost + abs(burst.held_credits), at_most=0),
        Goal("completed, of all", burst.ends.get("completed", 0) / count, at_least=1),
    ]
    numbers = {
        "answers": dict(burst.answers),
        "answered_seconds": round(burst.answered_seconds, 1),
        "drained_seconds": round(burst.drained_seconds, 1),
        "ends": burst.ends,
        "lost": burst.lost,
        "accept": accept.as_json() if accept else None,
    }
    return Result([Table(f"A burst of {count} posts", ("", ""), rows)], goals, numbers=numbers)
