"""The API of the DBOS side: `python -m benchmarks.dbos.api`. Darkroom's, with DBOS in Temporal's place.

With `--works` it is the worker too: one process, as DBOS's own examples are.
"""

import asyncio
import os
import sys
from contextlib import AsyncExitStack

from api.server.config import serve_until
from benchmarks.dbos import DATABASE_VARIABLE
from benchmarks.dbos.engine import DbosWorkflowClient
from benchmarks.dbos.worker import working
from composition import ServiceSettings, new_event_loop, read_settings
from composition.api import api_servers
from runtime.descriptors import raise_descriptor_limit
from runtime.logs import configure_logging
from runtime.process import run
from runtime.work_folder import work_folder

WORKS = "--works"


async def serve(settings: ServiceSettings, stop: asyncio.Event, *, works: bool) -> int:
    async with AsyncExitStack() as exits:
        exits.enter_context(work_folder())
        start = await exits.enter_async_context(working(settings)) if works else None
        engine = DbosWorkflowClient(os.environ[DATABASE_VARIABLE], start)
        exits.callback(engine.close)
        serving = api_servers(settings, raise_descriptor_limit(), engine)
        servers = await exits.enter_async_context(serving)
        has_started = await serve_until(stop, servers.public, servers.internal)
    return 0 if has_started else 1


def main() -> None:
    settings, works = read_settings(), WORKS in sys.argv[1:]
    configure_logging(settings.log_level, settings.log_format)
    run(lambda stop: serve(settings, stop, works=works), new_event_loop)


if __name__ == "__main__":
    main()
