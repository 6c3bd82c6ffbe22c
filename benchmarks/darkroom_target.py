"""Darkroom as a target: a client posts, and PostgreSQL has the end of each generation."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import httpx

from benchmarks.errors import RunFailed
from benchmarks.load import Sample
from devstack.stack.running import Stack

REQUEST = {
    "model": "flux-schnell",
    "prompt": "A lighthouse in the fog, linocut in two colors",
    "size": "512x512",
    "output_format": "jpeg",
}
SAMPLE_TIMEOUT_SECONDS = 120.0
REQUEST_TIMEOUT_SECONDS = 30.0
CONNECTIONS_MAX = 10
# One query for all who wait: forty clients that ask the API again and again would be most of its load. It is
# rarer the more wait, so that it costs the same.
LOOK_EVERY_SECONDS = 0.05
_OPEN_AT_FULL_RATE = 40
_ENDED = """
    select id, status, error_code, extract(epoch from finished_at - received_at)::float8 as reaction_seconds
    from generations
    left join lateral (
        select min(received_at) as received_at from inbox where generation_id = generations.id
    ) as webhook on true
    where id = any($1) and finished_at is not null
"""


class DarkroomTarget:
    """Posts a generation and waits for its row's end."""

    def __init__(self, http: httpx.AsyncClient, connection: asyncpg.Connection) -> None:
        self._http = http
        self._connection = connection
        self._open: dict[str, asyncio.Future[float | None]] = {}

    async def sample(self) -> Sample:
        try:
            async with asyncio.timeout(SAMPLE_TIMEOUT_SECONDS):
                return await self._sample()
        except (httpx.HTTPError, TimeoutError) as error:
            raise RunFailed(f"a generation did not complete: {error!r}") from error

    async def _sample(self) -> Sample:
        begun = time.perf_counter()
        response = await self._http.post(
            "/v1/generations", json=REQUEST, headers={"Idempotency-Key": str(uuid4())}
        )
        accept_seconds = time.perf_counter() - begun
        if response.status_code != httpx.codes.ACCEPTED:
            raise RunFailed(f"POST /v1/generations returned {response.status_code}: {response.text}")
        generation_id: str = response.json()["id"]
        ended = self._open[generation_id] = asyncio.get_running_loop().create_future()
        return Sample(generation_id, accept_seconds, await ended)

    async def look(self) -> None:
        """Wake those whose generations have ended, until canceled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS * max(1.0, len(self._open) / _OPEN_AT_FULL_RATE))
            if self._open:
                for row in await self._connection.fetch(_ENDED, list(self._open)):
                    self._tell(row)

    def _tell(self, row: asyncpg.Record) -> None:
        ended = self._open.pop(row["id"])
        if ended.done():
            return
        if row["status"] == "completed":
            ended.set_result(row["reaction_seconds"])
        else:
            ended.set_exception(RunFailed(f"{row['id']} is {row['status']}: {row['error_code']}"))


@asynccontextmanager
async def darkroom_target(stack: Stack) -> AsyncIterator[DarkroomTarget]:
    """Open a client of a running stack for the block."""
    connection = await asyncpg.connect(stack.servers.postgres.url, timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        async with httpx.AsyncClient(
            base_url=stack.api_url,
            headers=stack.authorization,
            timeout=REQUEST_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            trust_env=False,
        ) as http:
            target = DarkroomTarget(http, connection)
            looking = asyncio.create_task(target.look())
            try:
                yield target
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
    finally:
        await connection.close(timeout=REQUEST_TIMEOUT_SECONDS)
