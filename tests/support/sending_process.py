"""`python -m tests.support.sending_process`: what a worker does with usage events, and nothing else of it."""

import asyncio

from composition import ServiceSettings
from composition.repositories import database
from composition.usage_events import sending_usage_events
from runtime.process import run


async def _serve(stop: asyncio.Event) -> int:
    settings = ServiceSettings()
    pool = database(settings)
    async with sending_usage_events(settings, pool):
        await stop.wait()
    await pool.close()
    return 0


if __name__ == "__main__":
    run(_serve)
