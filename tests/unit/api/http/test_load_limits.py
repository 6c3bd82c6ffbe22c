"""A flood of one group of routes leaves the others alone, and one tenant leaves a group to others."""

import pytest
from prometheus_client import REGISTRY

from api.http.load_limits import LoadLimits, RouteGroup
from tests.support.api_server import request
from tests.unit.api.http.slow_application import FEW, PATHS, Application, flooded, serving


@pytest.fixture
def application() -> Application:
    return Application()


def shed(group: RouteGroup) -> float:
    return REGISTRY.get_sample_value("darkroom_requests_shed_total", {"group": group}) or 0.0


@pytest.mark.parametrize("group", PATHS)
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
