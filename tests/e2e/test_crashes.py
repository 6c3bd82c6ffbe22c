"""A worker killed before and after each effect; the effects are counted where they land."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Deployment, stop
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

_PRICE = 1
pytestmark = pytest.mark.needs_servers


async def post(client: httpx.AsyncClient, prompt: str) -> str:
    answer = await client.post(
        "/v1/generations", json={"model": "flux-schnell", "prompt": prompt, "size": "512x512"}
    )
    assert answer.status_code == httpx.codes.ACCEPTED
    return str(answer.json()["id"])


async def ended(client: httpx.AsyncClient, generation_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        job: dict[str, Any] = (await client.get(f"/v1/generations/{generation_id}")).json()
        return job if job["status"] in ("completed", "failed", "canceled") else None

    return await eventually(look, timeout_seconds=60)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["reserve", "submit", "store", "complete"])
async def test_a_killed_worker_repeats_no_effect(
    deployment: Deployment, tmp_path: Path, step: str, moment: str
) -> None:
    prompt, mark = f"a fox killed {moment} {step}", tmp_path / "fired"
    mortal = deployment.start("-m", "tests.support.crashing_worker", step, moment, str(mark))
    async with await deployment.new_client() as client:
        generation_id = await post(client, prompt)
        exit_code = await asyncio.wait_for(asyncio.to_thread(mortal.wait), scaled(40))
        worker = deployment.start("worker.py")
        try:
            job = await ended(client, generation_id)
        finally:
            await stop(worker)
        credits = (await client.get("/v1/credits")).json()
        entries = (await client.get("/v1/credits/entries")).json()["data"]
    submits = [entry for entry in await deployment.log(prompt) if entry["kind"] == "submit_accepted"]

    assert mark.exists()
    assert exit_code == -9
    resolutions = {entry["kind"] for entry in entries} - {"grant", "hold"}
    if (step, moment) == ("submit", "before"):
        # It is unknown whether anything was sent, so it is not sent again, and the credits are returned.
        assert (job["status"], job["error"]["code"]) == ("failed", "submit_unknown")
        assert (submits, resolutions, deployment.objects(generation_id)) == ([], {"refund"}, [])
        assert (credits["available"], credits["held"], credits["spent"]) == (10, 0, 0)
    else:
        assert job["status"] == "completed"
        assert (len(submits), resolutions, len(deployment.objects(generation_id))) == (1, {"settle"}, 1)
        assert (credits["available"], credits["held"], credits["spent"]) == (10 - _PRICE, 0, _PRICE)
