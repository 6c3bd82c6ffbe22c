"""`python -m api`: serve the HTTP API."""

import asyncio

import uvicorn

from composition import ServiceSettings, new_event_loop, read_settings, refuse_unsafe
from composition.api import create_app
from runtime.logs import configure_logging
from runtime.process import run
from runtime.work_folder import work_folder

_GRACE_SECONDS = 10
# Connections and requests; above that uvicorn itself responds with 503.
_MAX_CONCURRENT = 1000


def config_of(settings: ServiceSettings) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,  # paths hold callback tokens and image signatures
        timeout_graceful_shutdown=_GRACE_SECONDS,
        limit_concurrency=_MAX_CONCURRENT,
        server_header=False,
    )


async def serve(settings: ServiceSettings, stop: asyncio.Event) -> int:
    with work_folder():
        server = uvicorn.Server(config_of(settings))
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    return 0 if server.started else 1


def main() -> None:
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    refuse_unsafe(settings)
    run(lambda stop: serve(settings, stop), new_event_loop)


if __name__ == "__main__":
    main()
