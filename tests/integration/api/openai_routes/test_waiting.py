"""How long a request waits for its job, and what it holds up meanwhile: nothing."""

import asyncio

import openai
import pytest

from tests.integration.api.openai_routes.clients import official
from tests.integration.api.openai_routes.cutting_proxy import CuttingProxy, cutting
from tests.integration.api.openai_routes.repeating import open_requests, post_through
from tests.integration.api.service import MODEL, Service, Tenant, listening, serving, unique
from tests.support.eventually import eventually


async def test_the_longest_wait_ends_with_the_id(service: Service, tenant: Tenant) -> None:
    with listening() as listener:
        port = int(listener.getsockname()[1])
        settings = service.settings.model_copy(update={"api_port": port, "api_images_wait_seconds": 1.0})
        async with serving(settings, listener), cutting(f"http://127.0.0.1:{port}") as proxy:
            await refused_as_pending(tenant, proxy)


async def refused_as_pending(tenant: Tenant, proxy: CuttingProxy) -> None:
    async with official(tenant, proxy.url) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.images.generate(model=MODEL, prompt=unique("too long [sim:latency=4]"))

    error = caught.value
    [job] = (await tenant.get("/v1/generations"))["data"]
    assert (error.status_code, error.code, proxy.connections) == (504, "generation_pending", 1)
    assert isinstance(error.body, dict)
    assert error.body["generation_id"] == error.response.headers["x-generation-id"] == job["id"]
    assert error.response.headers["x-should-retry"] == "false"
    assert (await tenant.ended(job["id"]))["status"] == "completed"


async def test_a_request_that_waits_holds_up_nobody(service: Service, tenant: Tenant) -> None:
    """One new generation of a tenant runs at once here, and the wait for one is over when it is accepted."""
    with listening() as listener:
        port = int(listener.getsockname()[1])
        settings = service.settings.model_copy(update={"api_port": port, "api_max_running_per_tenant": 1})
        async with serving(settings, listener), cutting(f"http://127.0.0.1:{port}") as proxy:
            waiting = asyncio.create_task(post_through(tenant, proxy, unique("it waits [sim:latency=5]")))

            async def is_waiting() -> bool:
                return await open_requests(service, tenant) == 1

            await eventually(is_waiting, 20)
            second = await post_through(tenant, proxy, unique("it does not wait for the first"))
            assert (second.status_code, waiting.done()) == (200, False)
            assert (await waiting).status_code == 200


async def test_one_more_than_may_wait_gets_its_id_at_once(service: Service, tenant: Tenant) -> None:
    with listening() as listener:
        port = int(listener.getsockname()[1])
        settings = service.settings.model_copy(update={"api_port": port, "api_max_waiting_requests": 1})
        async with serving(settings, listener), cutting(f"http://127.0.0.1:{port}") as proxy:
            first = asyncio.create_task(post_through(tenant, proxy, unique("the first [sim:latency=5]")))

            async def is_waiting() -> bool:
                return await open_requests(service, tenant) == 1

            await eventually(is_waiting, 20)
            second = await post_through(tenant, proxy, unique("the second [sim:latency=5]"))
            assert (second.status_code, first.done()) == (504, False)
            assert second.json()["error"]["generation_id"] == second.headers["x-generation-id"]
            assert (await first).status_code == 200
