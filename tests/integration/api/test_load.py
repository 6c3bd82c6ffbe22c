"""The whole API among silent sockets, slow heads, floods and wrong keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from tests.integration.api.service import Service, Tenant, listening, serving, unique

SILENT, SLOW = 150, 30
FEW_FAILURES = 5


@asynccontextmanager
async def another_api(service: Service, **settings: Any) -> AsyncIterator[str]:
    """Run a second API of the same installation with these settings; yield its address."""
    with listening() as listener:
        port = int(listener.getsockname()[1])
        async with serving(service.settings.model_copy(update={"api_port": port, **settings}), listener):
            yield f"http://127.0.0.1:{port}"


async def connected(url: str, number: int, data: bytes) -> list[asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").partition(":")
    writers = []
    for _ in range(number):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        writers.append(writer)
    return writers


async def test_silent_and_slow_sockets_keep_nobody_out(service: Service, tenant: Tenant) -> None:
    limits = {"api_max_connections_per_address": 100, "api_max_anonymous_connections": 120}
    key = tenant.http.headers["authorization"].removeprefix("Bearer ")
    async with another_api(service, **limits) as url:
        writers = await connected(url, SILENT, b"")
        writers += await connected(url, SLOW, b"POST /v1/generations HTTP/1.1\r\nHost:")
        http = await service.client(url, key)
        health = await http.get("/healthz")
        posted = await http.post(
            "/v1/generations", json={"model": "flux-schnell", "prompt": unique("a crowd")}
        )
        webhook = await http.post(f"/v1/webhooks/fal/{posted.json()['id']}/token")
        for writer in writers:
            writer.transport.abort()

    assert (health.status_code, posted.status_code) == (200, 202)
    assert (webhook.status_code, webhook.json()["code"]) == (401, "signature_invalid")
    await tenant.ended(posted.json()["id"])


async def test_a_genuine_key_passes_among_wrong_ones_and_the_database_has_peace(
    service: Service, tenant: Tenant
) -> None:
    key = tenant.http.headers["authorization"].removeprefix("Bearer ")
    async with another_api(service, api_failed_keys_per_minute=FEW_FAILURES) as url:
        genuine = await service.client(url, key)
        assert (await genuine.get("/v1/credits")).status_code == 200
        stranger = await service.client(url)

        refused = [await guess(stranger) for _ in range(10 * FEW_FAILURES)]
        among = await asyncio.gather(
            *(guess(stranger) for _ in range(50)), *(genuine.get("/v1/credits") for _ in range(20))
        )

    codes = [answer.json()["code"] for answer in refused]
    assert codes[:FEW_FAILURES] == ["unauthenticated"] * FEW_FAILURES
    # A few more while the limit grows again.
    assert codes.count("too_many_failed_keys") > 5 * FEW_FAILURES
    limited = refused[codes.index("too_many_failed_keys")]
    assert (limited.status_code, limited.headers["content-type"]) == (429, "application/problem+json")
    assert 1 <= int(limited.headers["retry-after"]) <= 60 / FEW_FAILURES
    assert {answer.status_code for answer in among[50:]} == {200}


async def guess(http: httpx.AsyncClient) -> httpx.Response:
    key = f"dk_{uuid4().hex[:16]}_{'x' * 43}"
    return await http.get("/v1/credits", headers={"Authorization": f"Bearer {key}"})
