"""A flood of one group of routes leaves the others alone, and one tenant leaves a group to others."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from prometheus_client import REGISTRY

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


@pytest.fixture
def application() -> Application:
    return Application()


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


def shed(group: RouteGroup) -> float:
    return REGISTRY.get_sample_value("darkroom_requests_shed_total", {"group": group}) or 0.0


@pytest.mark.parametrize("group", RouteGroup)
async def test_a_flood_of_one_group_leaves_all_others_alone(
    application: Application, group: RouteGroup
) -> None:
    before = shed(group)
    async with serving(application) as server:
        clients = await flooded(application, server, f"{PATHS[group]}?slow=1")
        answers = {}
        for each, path in PATHS.items():
            client = await server.client(request(path, method="POST"))
            answers[each] = await client.answer()
        application.go_on.set()
        finished = [(await client.answer()).status for client in clients]
        again = await (await server.client(request(PATHS[group], method="POST"))).answer()

    refused = answers.pop(group)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "overloaded", "1")
    assert refused.headers["content-type"] == "application/problem+json"
    assert {each.status for each in answers.values()} == {200}
    assert (finished, again.status, shed(group) - before) == ([200] * FEW, 200, 1)


@pytest.mark.parametrize("group", [RouteGroup.API, RouteGroup.IMAGES, RouteGroup.UPLOADS])
async def test_each_tenant_has_half_of_a_group_for_its_own(
    application: Application, group: RouteGroup
) -> None:
    path = PATHS[group]
    async with serving(application) as server:
        await flooded(application, server, f"{path}?slow=1&tenant=anna", FEW // 2)
        refused = await (await server.client(request(f"{path}?tenant=anna", method="POST"))).answer()
        tenants = ("bert", "cleo", "dora")
        others = [
            await flooded(application, server, f"{path}?slow=1&tenant={each}", FEW // 2) for each in tenants
        ]
        await flooded(application, server, f"{path}?slow=1", FEW)
        application.go_on.set()
        assert [(await client.answer()).status for each in others for client in each] == [200] * 3 * (
            FEW // 2
        )
        again = await (await server.client(request(f"{path}?tenant=anna", method="POST"))).answer()

    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "too_many_at_once", "1")
    assert again.status == 200


@pytest.mark.parametrize("group", [RouteGroup.API, RouteGroup.IMAGES, RouteGroup.UPLOADS])
async def test_who_waits_to_be_known_counts_for_the_tenant_whose_key_it_was(
    application: Application, group: RouteGroup
) -> None:
    path = PATHS[group]
    async with serving(application) as server:
        await flooded(application, server, f"{path}?slow=1&seems=anna", FEW // 2)
        refused = await (await server.client(request(f"{path}?seems=anna", method="POST"))).answer()
        stranger = await (await server.client(request(path, method="POST"))).answer()
        await flooded(application, server, f"{path}?slow=1&tenant=bert", FEW // 2)
        application.go_on.set()

    assert (refused.status, stranger.status) == (429, 200)


async def test_a_waiting_request_ends_with_its_client() -> None:
    application = Application(LoadLimits(max_running_per_tenant=1))
    path = "/v1/generations?tenant=anna"
    async with serving(application) as server:
        await flooded(application, server, f"{path}&slow=1", 1)
        gone = [await server.client(request(path, method="POST")) for _ in range(5)]
        await eventually(lambda: application.asked == 6)
        for client in gone:
            client.writer.close()
        await eventually(lambda: len(server.server.server_state.tasks) == 1)

        waiting = await server.client(request(path, method="POST"))
        await eventually(lambda: application.asked == 7)
        application.go_on.set()
        assert (await waiting.answer()).status == 200
    assert application.responded == 2


async def test_signatures_belong_to_no_tenant(application: Application) -> None:
    async with serving(application) as server:
        path = f"{PATHS[RouteGroup.IMAGES]}?slow=1&tenant="
        assert len(await flooded(application, server, path, FEW)) == FEW


@pytest.mark.parametrize(
    ("method", "path", "group"),
    [
        ("POST", "/v1/generations", RouteGroup.API),
        ("GET", "/v1/files/file_1", RouteGroup.API),
        ("POST", "/v1/files", RouteGroup.UPLOADS),
        ("GET", "/v1/files", RouteGroup.API),
        ("GET", "/v1/generations/gen_1/images/0", RouteGroup.IMAGES),
        ("HEAD", "/v1/generations/gen_1/images/0", RouteGroup.IMAGES),
        ("POST", "/v1/generations/gen_1/cancel", RouteGroup.API),
        ("POST", "/v1/webhooks/fal/gen_1/token", RouteGroup.WEBHOOKS),
        ("GET", "/readyz", RouteGroup.HEALTH),
        ("GET", "/healthz/images/", RouteGroup.OTHER),
        ("GET", "/openapi.json", RouteGroup.OTHER),
        ("GET", "/", RouteGroup.OTHER),
    ],
)
def test_the_group_is_known_from_the_first_line(method: str, path: str, group: RouteGroup) -> None:
    assert RouteGroup.of(method, path) is group


def test_half_of_one_is_one() -> None:
    assert LoadLimits(dict.fromkeys(RouteGroup, 1)).max_per_tenant(RouteGroup.API) == 1


async def test_a_tenants_burst_waits_and_leaves_its_reads_and_other_tenants_alone() -> None:
    application = Application(LoadLimits(max_running_per_tenant=2))
    path = "/v1/generations"
    async with serving(application) as server:
        running = await flooded(application, server, f"{path}?slow=1&tenant=anna", 2)
        waiting = [await server.client(request(f"{path}?tenant=anna", method="POST")) for _ in range(20)]
        other = await (await server.client(request(f"{path}?tenant=bert", method="POST"))).answer()
        read = await (await server.client(request(f"{path}?tenant=anna"))).answer()
        cancel = request("/v1/generations/gen_1/cancel?tenant=anna", method="POST")
        canceled = await (await server.client(cancel)).answer()
        assert application.in_progress == 2
        application.go_on.set()
        answers = [(await client.answer()).status for client in [*running, *waiting]]

    assert (other.status, read.status, canceled.status) == (200, 200, 200)
    assert answers == [200] * 22


async def test_beside_another_tenant_few_of_each_run() -> None:
    application = Application(LoadLimits(max_running_per_tenant=3, max_running_beside_others=1))
    path = "/v1/generations?slow=1&tenant="
    async with serving(application) as server:
        alone = await flooded(application, server, f"{path}anna", 3)
        beside = await flooded(application, server, f"{path}bert", 1)
        second = await server.client(request(f"{path}bert", method="POST"))
        await eventually(lambda: application.asked == 5)
        assert application.in_progress == 4
        application.go_on.set()
        answers = [(await client.answer()).status for client in [*alone, *beside, second]]

    assert answers == [200] * 5


async def test_a_response_that_lasts_holds_no_turn() -> None:
    application = Application(LoadLimits(max_running_per_tenant=1))
    async with serving(application) as server:
        streaming = await server.client(request("/v1/stream?tenant=anna"))
        await eventually(lambda: application.in_progress == 1)
        other = await (await server.client(request("/v1/generations?tenant=anna"))).answer()
        assert (other.status, application.in_progress) == (200, 1)
        application.go_on.set()
        assert (await streaming.answer()).status == 200


async def test_a_tenant_with_many_that_wait_rests_beside_another() -> None:
    limits = LoadLimits(max_running_per_tenant=16, wait_seconds=60, rest_after_creates=1_000)
    application = Application(limits)
    path = "/v1/generations?tenant="
    async with serving(application) as server:
        await (await server.client(request(f"{path}bert", method="POST"))).answer()
        clients = await flooded(application, server, f"{path}anna&slow=1", 1)
        clients += [await server.client(request(f"{path}anna", method="POST")) for _ in range(11)]
        await eventually(lambda: application.asked == 13)
        application.go_on.set()
        # Three have more than eight behind them, and rest: a thousand times as long, but at most a second.
        begun = time.monotonic()
        answers = [(await client.answer()).status for client in clients]
        assert time.monotonic() - begun > 1.0
        read = await (await server.client(request(f"{path}anna"))).answer()

    assert (answers, read.status) == ([200] * 12, 200)


@pytest.mark.parametrize("group", [RouteGroup.API, RouteGroup.IMAGES, RouteGroup.UPLOADS])
async def test_of_every_group_few_run_beside_another_tenant(group: RouteGroup) -> None:
    application = Application(LoadLimits(max_running_per_tenant=3, max_running_beside_others=1))
    path = f"{PATHS[group]}?slow=1&tenant="
    async with serving(application) as server:
        other = await flooded(application, server, f"{path}bert", 1)
        first = await flooded(application, server, f"{path}anna", 1)
        second = await server.client(request(f"{path}anna", method="POST"))
        await eventually(lambda: application.asked == 3)
        assert application.in_progress == 2
        application.go_on.set()
        answers = [(await client.answer()).status for client in [*other, *first, second]]

    assert answers == [200] * 3


async def test_of_an_address_that_follows_links_few_run_and_webhooks_wait_for_nothing() -> None:
    application = Application(LoadLimits(max_running_of_links=2))
    async with serving(application) as server:
        links = await flooded(application, server, f"{PATHS[RouteGroup.IMAGES]}?slow=1&tenant=", 2)
        waiting = await server.client(request(f"{PATHS[RouteGroup.IMAGES]}?tenant=", method="POST"))
        await eventually(lambda: application.asked == 3)
        webhooks = await flooded(application, server, f"{PATHS[RouteGroup.WEBHOOKS]}?slow=1&tenant=", 10)
        assert application.responded == 0
        application.go_on.set()
        answers = [(await client.answer()).status for client in [*links, waiting, *webhooks]]

    assert answers == [200] * 13


async def test_no_wait_is_endless() -> None:
    application = Application(LoadLimits(max_running_per_tenant=1, wait_seconds=0.05))
    async with serving(application) as server:
        await flooded(application, server, "/v1/generations?slow=1&tenant=anna", 1)
        late = await server.client(request("/v1/generations?tenant=anna", method="POST"))
        answer = await late.answer()

    assert (answer.status, answer.code) == (429, "too_many_at_once")
