"""`python -m benchmarks.slot_queue URL`: what a provider's queue costs, by how many wait in it.

URL: of an empty PostgreSQL database, which is migrated and filled. One tenant waits with all but a few jobs,
99 others with the rest.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import asyncpg

from admin.bootstrap import migrate
from composition.repositories import Database, slots_with_limits
from runtime.process import run

SIZES = (100, 10_000, 100_000)
WARM_UP, REPEATS = 10, 50
TENANTS = 100
_EMPTY = "DELETE FROM provider_slots; DELETE FROM generations"
_FILL = """
INSERT INTO tenants (id, name) SELECT 'ten_' || n, 'many' FROM generate_series(0, {tenants}) AS n
    ON CONFLICT DO NOTHING;
INSERT INTO generations
    (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata, n, price_credits,
    status, stage)
SELECT 'gen_' || n, 'ten_' || CASE WHEN n < {tenants} THEN n ELSE 0 END, 'f', 'm', 'fal', 'e', 'p',
    '{{}}', '{{}}', 1, 1, 'queued', 'throttled'
FROM generate_series(1, {size}) AS n;
INSERT INTO provider_slots (generation_id, ordinal, provider, tenant_id, endpoint, requested_at)
SELECT id, 1, provider, tenant_id, endpoint, now() + make_interval(secs => substr(id, 5)::int)
FROM generations
"""


async def _median_ms(call: Callable[[int], Awaitable[object]]) -> float:
    seconds = []
    for number in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        await call(number)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[WARM_UP:])


async def _measure(url: str, size: int) -> tuple[float, float]:
    """Return the milliseconds of one grant and of one position of a job at the end."""
    connection = await asyncpg.connect(url)
    await connection.execute(_EMPTY)
    await connection.execute(_FILL.format(size=size, tenants=TENANTS))
    await connection.execute("VACUUM ANALYZE")  # the rows of the size before are dead and in the way
    await connection.close()
    database = Database(url, pool_size=2)

    async def grant(number: int) -> object:
        granted = await slots_with_limits(database, {"fal": number + 1}).grant_free("fal")
        for attempt in granted:
            await slots_with_limits(database, {}).mark_notified(attempt)
        return granted

    async def position(_: int) -> object:
        return await slots_with_limits(database, {}).queue_position(f"gen_{size}")

    try:
        return await _median_ms(grant), await _median_ms(position)
    finally:
        await database.close()


async def main(_: asyncio.Event) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    url = parser.parse_args().url
    await asyncio.to_thread(migrate, url)
    sys.stdout.write("waiting   grant ms   position ms\n")
    for size in SIZES:
        grant_ms, position_ms = await _measure(url, size)
        sys.stdout.write(f"{size:>7}   {grant_ms:>8.1f}   {position_ms:>11.1f}\n")
    return 0


if __name__ == "__main__":
    run(main)
