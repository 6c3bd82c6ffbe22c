"""Simulators of synchronous providers, and requests to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.simulator.process import Client, SimulatorProcess
from tests.support.eventually import eventually


@asynccontextmanager
async def running(provider: str, state: Path, headers: dict[str, str]) -> AsyncIterator[Client]:
    """Return a client of a quick simulator. headers: its credentials."""
    simulator = SimulatorProcess(state, ("--job-seconds", "0.05"), provider=provider)
    await simulator.start()
    client = Client(simulator.url)
    del client.http.headers["Authorization"]
    client.http.headers.update(headers)
    async with client.http:
        yield client
    assert simulator.stop() == 0


async def log_entries(client: Client, prompt: str) -> list[dict[str, Any]]:
    """Return the log's entries of one prompt."""
    return [entry for entry in await client.log() if entry["prompt"] == prompt]


async def kinds(client: Client, prompt: str) -> list[str]:
    return [entry["kind"] for entry in await log_entries(client, prompt)]


async def log_entry(client: Client, prompt: str, kind: str) -> dict[str, Any]:
    """Wait for the prompt's single log entry of a kind; return it."""

    async def check() -> list[dict[str, Any]]:
        return [entry for entry in await log_entries(client, prompt) if entry["kind"] == kind]

    (entry,) = await eventually(check)
    return dict(entry)


async def leave_while_it_works(client: Client, path: str, body: Any) -> None:
    """Send a request and close the connection before the response."""
    try:
        await client.http.post(path, json=body, timeout=httpx.Timeout(5, read=0.3))
    except httpx.ReadTimeout:
        return
    raise AssertionError("there was an answer in time")
