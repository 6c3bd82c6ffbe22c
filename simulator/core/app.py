"""Puts one simulated provider together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette

from simulator.core.control import Control
from simulator.core.delivery import Deliveries
from simulator.core.faults.switches import FaultSwitches
from simulator.core.files import Addresses, Files
from simulator.core.options import Options
from simulator.core.provider import Context
from simulator.core.store import Store
from simulator.registry import PROVIDERS


def create_app(options: Options, providers: list[dict[str, str]]) -> Starlette:
    """Build the ASGI application. Its store is open until the application shuts down.

    providers: all that run in this process, for `/_sim/providers`.
    """
    options.state.mkdir(parents=True, exist_ok=True)
    store = Store(options.state / f"{options.provider}.sqlite")
    registered = PROVIDERS[options.provider]
    switches = FaultSwitches(registered.faults, store)
    addresses = Addresses(
        registered.result_seconds if options.result_seconds is None else options.result_seconds,
        store.secret("address_key") if registered.signs_urls else None,
    )
    context = Context(options, store, switches, Files(store, switches, options.public_url, addresses))
    provider = registered.make(context)
    retry_seconds = options.webhook_retry_seconds
    if retry_seconds is None:
        retry_seconds = registered.webhook_retry_seconds
    deliveries = Deliveries(store, switches, provider.webhooks, retry_seconds)
    sending: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(deliveries.run())
        sending.append(task)
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        context.files.close()
        store.close()

    control = Control(
        store,
        options.provider,
        registered.faults,
        lambda: any(not task.done() for task in sending),
        providers,
    )
    routes = [*control.routes, *context.files.routes, *provider.routes(deliveries)]
    return Starlette(routes=routes, lifespan=lifespan)
