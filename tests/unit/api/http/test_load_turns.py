"""Requests of a tenant wait for their turns, and for nobody else's."""

import time

import pytest

from api.http.load_limits import LoadLimits, RouteGroup
from tests.support.api_server import request
from tests.support.eventually import eventually
from tests.unit.api.http.slow_application import PATHS, Application, flooded, serving

# A turn must not give way while a busy machine is slow to look.
FEW_BESIDE_OTHERS = LoadLimits(max_running_per_tenant=3, max_running_beside_others=1, hold_seconds=600)


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


async def test_a_tenants_burst_waits_and_leaves_its_reads_and_other_tenants_alone() -> None:
    application = Application(LoadLimits(max_running_per_tenant=2, hold_seconds=600))
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
    application = Application(FEW_BESIDE_OTHERS)
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
    limits = LoadLimits(
        max_running_per_tenant=16, wait_seconds=60, rest_after_creates=1_000, hold_seconds=600
    )
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
    application = Application(FEW_BESIDE_OTHERS)
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
