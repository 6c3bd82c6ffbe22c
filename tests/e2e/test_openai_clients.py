"""A process of the API is killed while OpenAI's official client waits at it, with its default settings."""

import asyncio

import httpx
import pytest
from openai import AsyncOpenAI

from devstack.process.ports import pick_free
from tests.e2e.conftest import Deployment, answers, stop
from tests.integration.api.openai_routes.cutting_proxy import cutting
from tests.support.eventually import eventually

_PRICE = 1
pytestmark = pytest.mark.needs_servers


async def is_generating(http: httpx.AsyncClient) -> bool:
    jobs = (await http.get("/v1/generations")).json()["data"]
    return [job["stage"] for job in jobs] == ["generating"]


async def test_another_process_answers_with_the_same_job(deployment: Deployment) -> None:
    port = pick_free()
    mortal = deployment.start("-m", "api", API_PORT=str(port))
    worker = deployment.start("worker.py")
    try:
        await eventually(lambda: answers(f"http://127.0.0.1:{port}/healthz"), timeout_seconds=20)
        async with await deployment.new_client() as http, cutting(f"http://127.0.0.1:{port}") as proxy:
            key = http.headers["Authorization"].removeprefix("Bearer ")
            async with AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key) as client:
                asking = asyncio.create_task(
                    client.images.generate(model="flux-schnell", prompt="a killed process [sim:latency=5]")
                )
                await eventually(lambda: is_generating(http), timeout_seconds=30)
                proxy.port = deployment.settings.api_port
                mortal.kill()
                answer = await asking
            jobs = (await http.get("/v1/generations")).json()["data"]
            credits = (await http.get("/v1/credits")).json()
    finally:
        mortal.kill()
        await stop(worker)

    assert len(answer.data or []) == 1
    assert [job["status"] for job in jobs] == ["completed"]
    assert (credits["available"], credits["held"], credits["spent"]) == (10 - _PRICE, 0, _PRICE)
