"""One of several worker processes: reads its job from standard input, prints what it has done.

grants: hands slots on. Each lane releases the slot of an attempt, as the statement that begins to store its
result does, and grants what is free.
reserves: holds the price of one generation after the other.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from composition.repositories import Database, ledger, slots_with_limits
from domain.ports import ProviderSlots
from domain.provider import AttemptRef
from runtime.process import run

READY = "ready"
POOL_SIZE = 10
# Without an attempt of its own, a lane looks for free slots that another process has not granted.
_IDLE_SECONDS = 0.005
_RELEASE = "UPDATE generations SET stage = 'storing' WHERE id = ANY ($1) AND stage <> 'storing'"


class Grants:
    """Lanes of one process that hand slots on.

    held: attempts that have a slot. together: how many are released by one statement at most; the service
    releases each by itself.
    """

    def __init__(
        self,
        slots: ProviderSlots,
        release: Callable[[list[str]], Awaitable[None]],
        held: list[AttemptRef],
        together: int,
    ) -> None:
        self._slots = slots
        self._release = release
        self._together = together
        self._held = held
        self._known = set(held)
        self.notified = 0

    async def lane(self, provider: str, until: float) -> None:
        while time.time() < until:
            mine = [self._held.pop() for _ in range(min(self._together, len(self._held)))]
            if mine:
                await self._release([attempt.generation_id for attempt in mine])
            granted = await self._slots.grant_free(provider)
            # One that was not marked in a second is returned again, so also to other lanes.
            new = [attempt for attempt in granted if attempt not in self._known]
            self._known.update(new)
            if new:
                await self._slots.mark_notified(new)
            self.notified += len(new)
            self._held += new
            if not new:
                await asyncio.sleep(_IDLE_SECONDS)


async def grants(database: Database, job: dict[str, Any]) -> dict[str, Any]:
    pool = await asyncpg.create_pool(job["url"], min_size=2, max_size=POOL_SIZE)

    async def release(ids: list[str]) -> None:
        await pool.execute(_RELEASE, ids)

    slots = slots_with_limits(database, {job["provider"]: job["limit"]})
    held = [AttemptRef(generation_id) for generation_id in job["held"]]
    process = Grants(slots, release, held, job["together"])
    await _begin(job)
    until = job["begin_at"] + job["seconds"]
    await asyncio.gather(*(process.lane(job["provider"], until) for _ in range(job["lanes"])))
    await pool.close()
    return {"notified": process.notified}


async def reserves(database: Database, job: dict[str, Any]) -> dict[str, Any]:
    holds = ledger(database)
    ids = iter(job["ids"])
    until = job["begin_at"] + job["seconds"]
    seconds: list[float] = []

    async def lane() -> None:
        for generation_id in ids:
            begun = time.time()
            if begun >= until:
                return
            await holds.reserve(generation_id, job["tenant"])
            seconds.append(time.time() - begun)

    await _begin(job)
    await asyncio.gather(*(lane() for _ in range(job["lanes"])))
    return {"seconds": seconds}


async def _begin(job: dict[str, Any]) -> None:
    await asyncio.sleep(max(0.0, job["begin_at"] - time.time()))


_JOBS = {"grants": grants, "reserves": reserves}


async def main(_: asyncio.Event) -> int:
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    job = json.loads(await asyncio.to_thread(sys.stdin.read))
    database = Database(job["url"], pool_size=POOL_SIZE)
    try:
        done = await _JOBS[job["kind"]](database, job)
    finally:
        await database.close()
    sys.stdout.write(json.dumps(done))
    return 0


if __name__ == "__main__":
    run(main)
