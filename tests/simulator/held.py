"""Simulators that hold the connection until the images are there, and what the tests ask of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.simulator.process import Client, SimulatorProcess
from tests.support.eventually import eventually


@asynccontextmanager
async def running(provider: str, state: Path, headers: dict[str, str]) -> AsyncIterator[Client]:
    """A client of a simulator that works quickly. headers: the ones that let it in."""
    simulator = SimulatorProcess(state, ("--job-seconds", "0.05"), provider=provider)
    await simulator.start()
    client = Client(simulator.url)
    del client.http.headers["Authorization"]
    client.http.headers.update(headers)
    async with client.http:
        yield client
    assert simulator.stop() == 0


async def told(client: Client, prompt: str) -> list[dict[str, Any]]:
    """The log's entries of one prompt."""
    return [entry for entry in await client.log() if entry["prompt"] == prompt]


async def kinds(client: Client, prompt: str) -> list[str]:
    return [entry["kind"] for entry in await told(client, prompt)]


async def told_once(client: Client, prompt: str, kind: str) -> dict[str, Any]:
    """The prompt's one entry of a kind, as soon as it is there."""

    async def check() -> list[dict[str, Any]]:
        return [entry for entry in await told(client, prompt) if entry["kind"] == kind]

    (entry,) = await eventually(check)
    return dict(entry)


async def leave_while_it_works(client: Client, path: str, body: Any) -> None:
    """Send a request and close the connection before there is an answer."""
    try:
        await client.http.post(path, json=body, timeout=httpx.Timeout(5, read=0.3))
    except httpx.ReadTimeout:
        return
    raise AssertionError("there was an answer in time")
