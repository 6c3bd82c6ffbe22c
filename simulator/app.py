"""Puts one simulated provider together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette

from simulator.control import Control
from simulator.delivery import Deliveries
from simulator.fal.provider import Fal
from simulator.faults import FaultSwitches
from simulator.files import Files
from simulator.options import Options
from simulator.provider import Provider, Workbench
from simulator.store import Store

PROVIDERS: dict[str, Callable[[Workbench], Provider]] = {"fal": Fal}


def create_app(options: Options) -> Starlette:
    """The server as an ASGI application. Its store is open from here until the application shuts down."""
    options.state.mkdir(parents=True, exist_ok=True)
    store = Store(options.state / f"{options.provider}.sqlite")
    switches = FaultSwitches(store)
    bench = Workbench(options, store, switches, Files(store, switches, options.public_url))
    provider = PROVIDERS[options.provider](bench)
    deliveries = Deliveries(store, switches, provider.webhooks, options.webhook_retry_seconds)
    sending: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(deliveries.run())
        sending.append(task)
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        bench.files.close()
        store.close()

    control = Control(store, options.provider, lambda: any(not task.done() for task in sending))
    routes = [*control.routes, *bench.files.routes, *provider.routes(deliveries)]
    return Starlette(routes=routes, lifespan=lifespan)
