"""What all synchronous providers share: many requests at once, a restart, a stop during work."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.process import KEY, Client, SimulatorProcess
from tests.simulator.synchronous import log_entry
from tests.support.time_limits import scaled

PATHS = {
    "openai": "/v1/images/generations",
    "gemini": "/v1beta/models/gemini-3.1-flash-image:generateContent",
    "together": "/v1/images/generations",
}


def _body(provider: str, prompt: str) -> dict[str, Any]:
    if provider == "gemini":
        settings = {"imageConfig": {"imageSize": "512"}}
        return {"contents": [{"parts": [{"text": prompt}]}], "generationConfig": settings}
    if provider == "together":
        return {"model": "black-forest-labs/FLUX.1-schnell", "prompt": prompt, "width": 64, "height": 64}
    return {"model": "gpt-image-2", "prompt": prompt, "size": "64x64"}


def _client(simulator: SimulatorProcess) -> Client:
    client = Client(simulator.url)
    client.http.headers.update({"Authorization": f"Bearer {KEY}", "x-goog-api-key": KEY})
    return client


def _simulator(provider: str, state: Path) -> SimulatorProcess:
    return SimulatorProcess(state, ("--job-seconds", "0.5"), provider=provider)


@pytest.mark.parametrize("provider", PATHS)
async def test_log_faults_and_jobs_outlive_a_kill(provider: str, tmp_path: Path) -> None:
    simulator = _simulator(provider, tmp_path)
    await simulator.start()
    before = _client(simulator)
    async with before.http:
        await before.http.post(PATHS[provider], json=_body(provider, "kept"))
        await before.put_fault("reject", match={"prompt": "later"})
        entries = await before.log()
        jobs = (await before.http.get("/_sim/jobs")).json()
    simulator.kill()
    await simulator.start()

    client = _client(simulator)
    async with client.http:
        assert await client.log() == entries
        assert (await client.http.get("/_sim/jobs")).json() == jobs
        await client.http.post(PATHS[provider], json=_body(provider, "later"))
        await log_entry(client, "later", "submit_rejected")
    assert simulator.stop() == 0


async def test_a_hundred_wait_together(tmp_path: Path) -> None:
    simulator = _simulator("openai", tmp_path)
    await simulator.start()
    client = _client(simulator)
    async with client.http, asyncio.timeout(scaled(30)):
        answers = await asyncio.gather(
            *(
                client.http.post(PATHS["openai"], json=_body("openai", f"crowd {number}"), timeout=scaled(30))
                for number in range(100)
            )
        )

        done = [entry for entry in await client.log() if entry["kind"] == "generation_done"]
    assert [answer.status_code for answer in answers] == [200] * 100
    assert len({entry["request_id"] for entry in done}) == 100
    assert simulator.stop() == 0


async def test_it_ends_with_code_0_while_a_client_waits(tmp_path: Path) -> None:
    simulator = _simulator("openai", tmp_path)
    await simulator.start()
    client = _client(simulator)
    async with client.http:
        body = _body("openai", "for ever [sim:hang]")
        waiting = asyncio.create_task(client.http.post(PATHS["openai"], json=body))
        await log_entry(client, body["prompt"], "submit_accepted")

        assert await asyncio.to_thread(simulator.stop) == 0
        (ended,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(ended, httpx.RemoteProtocolError), ended
