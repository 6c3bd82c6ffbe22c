"""A provider's slots: how fast they are handed on, by how many wait and how many processes do it.

Of 100 tenants one waits with all but a few of the jobs. A grant is a slot that one attempt has left and
another one got. The queue is filled up meanwhile, so that it stays as long as it was.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import asyncpg

from benchmarks.contention.databases import in_processes, migrated_database
from benchmarks.options import Options
from benchmarks.report import Goal, Result, Table, cell
from benchmarks.rounds import Comparison, Reading, in_turn
from composition.repositories import Database, slots_with_limits
from devstack.process.log import log

SIZES = (100, 10_000, 100_000)
PROCESSES = (1, 2, 4)
MIN_GRANTS_PER_SECOND = 2_000.0
TENANTS = 100
# At 2,000 a second a job may still take a fifth of a second.
PROVIDER, SLOTS = "fal", 400
LANES_PER_PROCESS = 5
# How many attempts one statement releases. The service releases each by itself, which costs more than to
# grant its slot to the next: released in batches, what is measured is the granting.
ALONE, TOGETHER = 1, 20
RUNS = (*((processes, TOGETHER) for processes in PROCESSES), (PROCESSES[-1], ALONE))
ROUNDS = 2
SECONDS = 2.0
_GRANTS, _NOTIFIED = "grants per second", "notified"
_WARM_UP, _REPEATS = 10, 50
_TIMEOUT_SECONDS = 120.0
_EMPTY = "SET session_replication_role = replica; TRUNCATE generations CASCADE"
_TENANTS = f"""
SET session_replication_role = origin;
INSERT INTO tenants (id, name) SELECT 'ten_' || n, 'many' FROM generate_series(0, {TENANTS - 1}) AS n
ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant
_WAIT = f"""
WITH made AS (
    INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters,
        metadata, n, price_credits, status, stage)
    SELECT 'gen_' || n, 'ten_' || CASE WHEN n % {TENANTS} < 2 THEN n / {TENANTS} % {TENANTS} ELSE 0 END,
        'f', 'm', '{PROVIDER}', 'e', 'p', '{{}}', '{{}}', 1, 1, 'queued', 'throttled'
    FROM generate_series($1::bigint, $2::bigint) AS n RETURNING id, tenant_id
)
INSERT INTO provider_slots (generation_id, ordinal, provider, tenant_id, endpoint, requested_at)
SELECT id, 1, '{PROVIDER}', tenant_id, 'e',
    clock_timestamp() + make_interval(secs => substr(id, 5)::int / 1e6)
FROM made
"""  # noqa: S608 - a constant
_STILL_WAITING = "SELECT count(*) FROM provider_slots WHERE granted_at IS NULL"
_LEFT = "SELECT count(*) FROM generations WHERE stage = 'storing'"


@dataclass
class Queue:
    """A queue of so many, which is kept at that length. made: so many generations so far."""

    connection: asyncpg.Connection
    size: int
    made: int = field(default=0)

    async def fill(self) -> None:
        await self.connection.execute(_EMPTY)
        await self.connection.execute(_TENANTS)
        await self._wait(self.size + SLOTS)
        await self.connection.execute("VACUUM ANALYZE generations, provider_slots")

    async def keep_full(self) -> None:
        """Let more wait whenever some were granted a slot, until canceled; a few more than it should be."""
        spare = 500
        while True:
            waiting = await self.connection.fetchval(_STILL_WAITING)
            if waiting < self.size + spare:
                await self._wait(self.size + 2 * spare - waiting)
            await asyncio.sleep(0.02)

    async def _wait(self, count: int) -> None:
        await self.connection.execute(_WAIT, self.made + 1, self.made + count)
        self.made += count


async def measure(options: Options) -> Result:
    sizes = [options.scaled(size) for size in SIZES]
    async with migrated_database(options.stop) as url:
        single = {size: await _single(url, size) for size in sizes}
        contenders = {_name(size, *how): partial(_grants, url, size, *how) for size in sizes for how in RUNS}
        comparison = await in_turn(contenders, options.turns.at_most(ROUNDS))
    return _result(sizes, single, comparison)


def _name(size: int, processes: int, together: int) -> str:
    return f"{size} wait, {processes} processes, {together} at a time"


async def _grants(url: str, size: int, processes: int, together: int) -> Reading:
    log(f"grants: {_name(size, processes, together)} …")
    connection = await asyncpg.connect(url, timeout=_TIMEOUT_SECONDS, command_timeout=_TIMEOUT_SECONDS)
    try:
        queue = Queue(connection, size)
        await queue.fill()
        held = await _first(url)
        filling = asyncio.create_task(queue.keep_full())
        jobs = [
            {
                "kind": "grants",
                "url": url,
                "provider": PROVIDER,
                "limit": SLOTS,
                "held": held[number::processes],
                "together": together,
                "lanes": LANES_PER_PROCESS,
            }
            for number in range(processes)
        ]
        try:
            done = await in_processes(jobs, SECONDS)
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
        granted = await connection.fetchval(_LEFT)
        notified = sum(each["notified"] for each in done)
        return {_GRANTS: granted / SECONDS, _NOTIFIED: notified / max(1, granted)}
    finally:
        await connection.close(timeout=_TIMEOUT_SECONDS)


async def _first(url: str) -> list[str]:
    """Grant all slots; return the generations that have them."""
    database = Database(url, pool_size=2)
    try:
        slots = slots_with_limits(database, {PROVIDER: SLOTS})
        granted = await slots.grant_free(PROVIDER)
        await slots.mark_notified(granted)
        return [attempt.generation_id for attempt in granted]
    finally:
        await database.close()


async def _single(url: str, size: int) -> dict[str, float]:
    """Return the milliseconds of one grant, and of telling the last in the queue its position."""
    log(f"one grant and one position, {size} wait …")
    connection = await asyncpg.connect(url, timeout=_TIMEOUT_SECONDS, command_timeout=_TIMEOUT_SECONDS)
    queue = Queue(connection, size)
    await queue.fill()
    await connection.close(timeout=_TIMEOUT_SECONDS)
    database = Database(url, pool_size=2)

    async def grant(number: int) -> object:
        slots = slots_with_limits(database, {PROVIDER: number + 1})
        granted = await slots.grant_free(PROVIDER)
        await slots.mark_notified(granted)
        return granted

    async def position(_: int) -> object:
        return await slots_with_limits(database, {}).queue_position(f"gen_{queue.made}")

    try:
        return {"grant": await _median_ms(grant), "position": await _median_ms(position)}
    finally:
        await database.close()


async def _median_ms(call: Callable[[int], Awaitable[object]]) -> float:
    seconds = []
    for number in range(_WARM_UP + _REPEATS):
        started = time.perf_counter()
        await call(number)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[_WARM_UP:])


def _result(sizes: list[int], single: dict[int, dict[str, float]], comparison: Comparison) -> Result:
    alone = [
        (f"{size:,}", f"{single[size]['grant']:.1f}", f"{single[size]['position']:.1f}") for size in sizes
    ]
    rates, notified = (
        [
            (f"{size:,}", *(cell(comparison.range(_name(size, *how), row), digits) for how in RUNS))
            for size in sizes
        ]
        for row, digits in ((_GRANTS, 0), (_NOTIFIED, 2))
    )
    headings = (
        "waiting",
        *(
            f"{count} process{'es' * (count > 1)}{', one at a time' * (many == ALONE)}"
            for count, many in RUNS
        ),
    )
    goals = [
        Goal(
            f"grants per second with {size:,} waiting, best of several processes",
            max(comparison.range(_name(size, *how), _GRANTS).median for how in RUNS if how[0] > 1),
            at_least=MIN_GRANTS_PER_SECOND,
        )
        for size in sizes
    ]
    return Result(
        [
            Table("One call, median ms", ("waiting", "grant", "position"), alone),
            Table(f"Grants per second of one provider with {SLOTS} slots", headings, rates),
            Table(
                "How often each grant was notified, as processes are also told of grants of others",
                headings,
                notified,
            ),
        ],
        goals,
        numbers={"slots_runs": comparison.as_json(), "one_call_ms": {str(k): v for k, v in single.items()}},
    )
