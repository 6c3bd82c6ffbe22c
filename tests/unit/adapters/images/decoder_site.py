"""A pool with one child for tests, and scripts in a child's place."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.images import decoder
from adapters.images.decoder_pool import DecoderPool
from adapters.images.inspector import PooledInspector
from adapters.images.messages import DecodeLimits
from domain.input_files import ImageFacts
from tests.support.eventually import eventually
from tests.support.time_limits import scaled
from tests.unit.adapters.images.pictures import saved

LIMITS = DecodeLimits(max_pixels=40_000_000, memory_bytes=512_000_000, cpu_seconds=20)
PNG = saved("PNG")


class Site:
    """A pool with one child, and files to give it."""

    def __init__(self, pool: DecoderPool, folder: Path) -> None:
        self.pool, self.folder = pool, folder
        self.inspector = PooledInspector(pool, is_stripped=True)

    def file(self, content: bytes, name: str = "picture") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    async def facts(self, content: bytes = PNG, name: str = "picture", tenant_id: str = "a") -> ImageFacts:
        async with self.inspector.prepare_image(self.file(content, name), tenant_id) as image:
            return image.facts

    async def process_id(self) -> int:
        """Return the child's id once it is started and has nothing to do."""

        def check() -> int | None:
            [idle] = self.pool._idle or [None]
            if isinstance(idle, asyncio.Task) and idle.done():
                idle = idle.result()
            return idle.process_id if isinstance(idle, decoder.Decoder) else None

        return await eventually(check, 60)

    async def kill_idle(self) -> None:
        """Kill the child, and wait until the pool knows."""
        os.kill(await self.process_id(), signal.SIGKILL)
        [idle] = self.pool._idle
        child = idle.result() if isinstance(idle, asyncio.Task) else idle
        assert child is not None
        await eventually(lambda: not child.is_alive)


@asynccontextmanager
async def site_with(folder: Path, limits: DecodeLimits = LIMITS, **options: float) -> AsyncIterator[Site]:
    wanted = {"max_waiting": 9, "wait_seconds": scaled(60)} | options
    pool = DecoderPool(
        limits, children=1, max_waiting=int(wanted["max_waiting"]), wait_seconds=wanted["wait_seconds"]
    )
    async with pool:
        yield Site(pool, folder)


def starting(script: str) -> Callable[[DecodeLimits], Awaitable[decoder.Decoder]]:
    """Return what starts the script instead of a child."""

    async def start(limits: DecodeLimits) -> decoder.Decoder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            script,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1000,
        )
        return decoder.Decoder(process, limits)

    return start


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
