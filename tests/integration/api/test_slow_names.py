"""A tenant whose image URLs name hosts that do not resolve delays nobody else."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.api.pictures import data_uri, png
from tests.integration.api.service import Service, Tenant
from tests.support.eventually import eventually
from tests.support.hanging_names import SUFFIX, HangingNames, hanging_names
from tests.support.time_limits import scaled

# As many as the tenant may have open at once, with as many images as are fetched at once.
REQUESTS, IMAGES = 4, 4


@pytest.fixture
def names() -> Iterator[HangingNames]:
    with hanging_names() as names:
        yield names


async def post(tenant: Tenant, inputs: list[str]) -> httpx.Response:
    body = {"model": "flux-2", "prompt": "a hat on it", "inputs": inputs}
    return await tenant.http.post("/v1/generations", json=body, timeout=scaled(60))


async def test_names_that_hang_hold_up_no_other_tenant(
    service: Service, tenant: Tenant, names: HangingNames
) -> None:
    other, slow = await service.tenant(), []
    for number in range(REQUESTS):
        urls = [f"https://{number}-{image}{SUFFIX}/picture" for image in range(IMAGES)]
        slow.append(asyncio.create_task(post(tenant, urls)))
    await eventually(lambda: names.hanging > 0)

    # A body, a data URI and a URL: what needs the default executor, and what needs a resolver.
    for inputs in ([], [data_uri(png())], [f"{service.pictures.origin}/picture"]):
        assert (await post(other, inputs)).status_code == 202
    assert 0 < names.hanging < REQUESTS * IMAGES
    for request in slow:
        answer = await request
        assert answer.status_code == 422
        assert all("could not be fetched" in error["message"] for error in answer.json()["errors"])
    names.release()
