"""The API of the DBOS side: `python -m benchmarks.dbos.api`. Darkroom's, with DBOS in Temporal's place."""

import asyncio
import os

from api.server.config import serve_until
from benchmarks.dbos import DATABASE_VARIABLE
from benchmarks.dbos.engine import DbosWorkflowClient
from composition import ServiceSettings, new_event_loop, read_settings
from composition.api import api_servers
from runtime.descriptors import raise_descriptor_limit
from runtime.logs import configure_logging
from runtime.process import run
from runtime.work_folder import work_folder


async def serve(settings: ServiceSettings, stop: asyncio.Event) -> int:
    engine = DbosWorkflowClient(os.environ[DATABASE_VARIABLE])
    with work_folder():
        async with api_servers(settings, raise_descriptor_limit(), engine) as servers:
            has_started = await serve_until(stop, servers.public, servers.internal)
    engine.close()
    return 0 if has_started else 1


def main() -> None:
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    run(lambda stop: serve(settings, stop), new_event_loop)


if __name__ == "__main__":
    main()
