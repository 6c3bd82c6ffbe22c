"""Darkroom as a target: a client posts, and PostgreSQL has the end of each generation."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from benchmarks.errors import RunFailed
from benchmarks.load import Sample

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


@dataclass(frozen=True)
class Address:
    """Where a Darkroom is: its APIs, which are called in turn, a client's key, and the rows."""

    api_urls: tuple[str, ...]
    api_key: str
    database_url: str


class DarkroomTarget:
    """Posts a generation and waits for its row's end."""

    def __init__(
        self,
        apis: Sequence[httpx.AsyncClient],
        connection: asyncpg.Connection,
        request: Mapping[str, Any] = REQUEST,
    ) -> None:
        self.connection = connection
        self._apis = cycle(apis)
        self._request = request
        self._open: dict[str, asyncio.Future[float | None]] = {}

    async def sample(self) -> Sample:
        try:
            async with asyncio.timeout(SAMPLE_TIMEOUT_SECONDS):
                generation_id, accept_seconds = await self.post()
                ended = self._open[generation_id] = asyncio.get_running_loop().create_future()
                return Sample(generation_id, accept_seconds, await ended)
        except (httpx.HTTPError, TimeoutError) as error:
            raise RunFailed(f"a generation did not complete: {error!r}") from error

    async def post(self) -> tuple[str, float]:
        """Post a generation; return its id, and the seconds until the response. Raises RunFailed."""
        begun = time.perf_counter()
        response = await next(self._apis).post(
            "/v1/generations", json=self._request, headers={"Idempotency-Key": str(uuid4())}
        )
        accept_seconds = time.perf_counter() - begun
        if response.status_code != httpx.codes.ACCEPTED:
            raise RunFailed(f"POST /v1/generations returned {response.status_code}: {response.text}")
        return str(response.json()["id"]), accept_seconds

    async def look(self) -> None:
        """Wake those whose generations have ended, until canceled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS * max(1.0, len(self._open) / _OPEN_AT_FULL_RATE))
            if self._open:
                for row in await self.connection.fetch(_ENDED, list(self._open)):
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
async def darkroom_target(
    address: Address, request: Mapping[str, Any] = REQUEST, *, connections: int = CONNECTIONS_MAX
) -> AsyncIterator[DarkroomTarget]:
    """Open a client for the block. connections: to each API."""
    async with AsyncExitStack() as exits:
        connection = await asyncpg.connect(address.database_url, timeout=REQUEST_TIMEOUT_SECONDS)
        exits.push_async_callback(connection.close, timeout=REQUEST_TIMEOUT_SECONDS)
        apis = [
            await exits.enter_async_context(
                httpx.AsyncClient(
                    base_url=url,
                    headers={"Authorization": f"Bearer {address.api_key}"},
                    timeout=REQUEST_TIMEOUT_SECONDS,
                    limits=httpx.Limits(max_connections=connections),
                    trust_env=False,
                )
            )
            for url in address.api_urls
        ]
        target = DarkroomTarget(apis, connection, request)
        looking = asyncio.create_task(target.look())
        try:
            yield target
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
