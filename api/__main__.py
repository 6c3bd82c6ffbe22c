"""`python -m api`: serve the HTTP API."""

import asyncio

from api.server.config import serve_until, when_descriptors_run_out
from composition import ServiceSettings, new_event_loop, read_settings, refuse_unsafe
from composition.api import api_servers
from runtime.descriptors import raise_descriptor_limit
from runtime.logs import configure_logging
from runtime.process import run
from runtime.work_folder import work_folder


async def serve(settings: ServiceSettings, stop: asyncio.Event) -> int:
    with work_folder():
        async with api_servers(settings, raise_descriptor_limit()) as servers:
            asyncio.get_running_loop().set_exception_handler(
                when_descriptors_run_out(servers.public.config.table)
            )
            has_started = await serve_until(
                stop, servers.public, servers.internal, when_stopping=servers.stop_waiting
            )
    return 0 if has_started else 1


def main() -> None:
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    refuse_unsafe(settings)
    run(lambda stop: serve(settings, stop), new_event_loop)


if __name__ == "__main__":
    main()
