"""An application whose requests last until they are told to end, behind the limits of load."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from api.http import problems
from api.http.client import client_of
from api.http.load_limits import LoadLimitMiddleware, LoadLimits, RouteGroup
from tests.support.api_server import Client, Running, request, running
from tests.support.eventually import eventually

FEW = 4
PATHS = {
    RouteGroup.API: "/v1/generations",
    RouteGroup.IMAGES: "/v1/generations/gen_1/images/0",
    RouteGroup.UPLOADS: "/v1/files",
    RouteGroup.WEBHOOKS: "/v1/webhooks/fal/gen_1/token",
    RouteGroup.HEALTH: "/healthz",
    RouteGroup.OTHER: "/docs",
}


class Application:
    """Each path of `PATHS` responds at once, or with `?slow` when `go_on` is set.

    `?tenant=…` has a key, and `?seems=…` one that was genuine when it was last asked for.
    """

    def __init__(self, limits: LoadLimits | None = None) -> None:
        self.app = FastAPI()
        self.in_progress = 0
        self.asked = 0
        self.responded = 0
        self.go_on = asyncio.Event()
        for path in (*PATHS.values(), "/v1/generations/gen_1/cancel"):
            self.app.add_api_route(path, self.respond, methods=["GET", "POST"])
        self.app.add_api_route("/v1/stream", self.stream)
        problems.install(self.app)
        few = LoadLimits(
            dict.fromkeys(RouteGroup, FEW), max_running_of_links=FEW, max_running_beside_others=FEW
        )
        self.app.add_middleware(LoadLimitMiddleware, limits=limits or few)

    async def respond(
        self, request: Request, slow: bool = False, tenant: str | None = None, seems: str | None = None
    ) -> None:
        self.asked += 1
        if seems is not None:
            client_of(request).mark_recognized(seems)
        if tenant is not None:
            await client_of(request).mark_authenticated(tenant or None)
        if slow:
            self.in_progress += 1
            try:
                await self.go_on.wait()
            finally:
                self.in_progress -= 1
        self.responded += 1

    async def stream(self, request: Request, tenant: str) -> StreamingResponse:
        await client_of(request).mark_authenticated(tenant)

        async def lines() -> AsyncIterator[str]:
            yield "begun\n"
            self.in_progress += 1
            await self.go_on.wait()
            self.in_progress -= 1

        return StreamingResponse(lines())


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[Running]:
    async with running(application.app) as server:
        yield server
        application.go_on.set()


async def flooded(application: Application, server: Running, path: str, number: int = FEW) -> list[Client]:
    """Keep so many requests in progress."""
    before = application.in_progress
    clients = [await server.client(request(path, method="POST")) for _ in range(number)]
    await eventually(lambda: application.in_progress == before + number)
    return clients
