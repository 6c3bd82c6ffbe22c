"""OpenAI's official client for Node at our address."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.api.openai_routes.clients import key_of, opened
from tests.integration.api.openai_routes.cutting_proxy import Cut, cutting
from tests.integration.api.openai_routes.node_client import ClientAt, NodeClient, installed_client
from tests.integration.api.openai_routes.repeating import cut_while_waiting, only_job
from tests.integration.api.pictures import png
from tests.integration.api.service import MODEL, Service, Tenant, unique


@pytest.fixture(scope="module")
def folder() -> Path:
    return installed_client()


@pytest.fixture
def client_at(folder: Path, tenant: Tenant) -> ClientAt:
    return lambda url: NodeClient(folder, url, key_of(tenant))


@pytest.fixture
def client(client_at: ClientAt, service: Service) -> NodeClient:
    return client_at(service.url)


async def test_images_come_as_base64(client: NodeClient, tenant: Tenant) -> None:
    answer = await client.call("generate", {"model": MODEL, "prompt": unique("two boats"), "n": 2})

    images = [opened(image["b64_json"]) for image in answer["result"]["data"]]
    assert [image.size for image in images] == [(1024, 1024)] * 2


@pytest.mark.parametrize("twice", [False, True])
async def test_an_edit_sends_its_images_as_a_form(
    client: NodeClient, tenant: Tenant, tmp_path: Path, *, twice: bool
) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(png())
    body = {"model": "flux-2", "prompt": unique("join"), "n": 1, "size": "512x512"}
    answer = await client.call("edit", body, image=str(image), twice=twice)

    assert opened(answer["result"]["data"][0]["b64_json"]).size == (512, 512)
    [job] = (await tenant.get("/v1/generations"))["data"]
    assert len(job["inputs"]) == 1 + twice


async def test_a_stream_has_its_event(client: NodeClient) -> None:
    answer = await client.call("stream", {"model": MODEL, "prompt": unique("a stream")})

    [event] = answer["result"]["events"]
    assert event["type"] == "image_generation.completed"
    assert opened(event["b64_json"]).size == (1024, 1024)


async def test_models_are_listed_and_retrieved(client: NodeClient) -> None:
    result = (await client.call("models"))["result"]

    assert MODEL in result["models"]
    assert (result["one"]["id"], result["one"]["object"]) == (result["models"][0], "model")


async def test_errors_are_openais(client: NodeClient) -> None:
    refused = (await client.call("generate", {"model": MODEL, "prompt": "no", "quality": "high"}))["error"]
    rejected = (
        await client.call("generate", {"model": MODEL, "prompt": unique("a storm [sim:moderation]")})
    )["error"]

    assert (refused["name"], refused["status"], refused["param"]) == ("BadRequestError", 400, "quality")
    assert (rejected["status"], rejected["code"]) == (400, "moderation_blocked")
    assert rejected["body"]["generation_id"].startswith("gen_")


@pytest.mark.parametrize("cut", [Cut(sent_bytes=10), Cut(received_bytes=100)])
async def test_a_connection_that_is_cut(
    client_at: ClientAt, service: Service, tenant: Tenant, cut: Cut
) -> None:
    async with cutting(service.url, cut) as proxy:
        answer = await client_at(proxy.url).call("generate", {"model": MODEL, "prompt": unique("cut")})

    assert len(answer["result"]["data"]) == 1
    assert proxy.connections == 2
    await only_job(tenant)


async def test_a_connection_that_is_cut_while_it_waits(
    client_at: ClientAt, service: Service, tenant: Tenant
) -> None:
    now = asyncio.Event()
    async with cutting(service.url, Cut(when=now)) as proxy:
        asking = asyncio.create_task(
            client_at(proxy.url).call(
                "generate", {"model": MODEL, "prompt": unique("cut in the wait [sim:latency=3]")}
            )
        )
        await cut_while_waiting(service, tenant, now)
        answer = await asking

    assert len(answer["result"]["data"]) == 1
    await only_job(tenant)


async def test_a_client_that_is_less_patient_than_the_job(client: NodeClient, tenant: Tenant) -> None:
    body = {"model": MODEL, "prompt": unique("hasty [sim:latency=3]")}
    answer = await client.call("generate", body, timeout=1500)

    assert len(answer["result"]["data"]) == 1
    await only_job(tenant)
