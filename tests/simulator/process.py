"""A simulator as its users run it, in its own process."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from devstack.process.ports import pick_free
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

REPOSITORY = Path(__file__).parents[2]
_START_SECONDS = 60
KEY = "key-id:key-secret"
ENDPOINT = "fal-ai/flux/schnell"
# These clients speak plain http; loading the usual authorities for each of them takes longer than most tests.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class SimulatorProcess:
    """Starts, ends and restarts one on the same port and state."""

    state: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=pick_free)
    process: subprocess.Popen[bytes] | None = None
    provider: str = "fal"

    @property
    def url(self) -> str:
        return f"{'https' if '--tls' in self.options else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it prints its addresses: another process may listen on the port before."""
        process = self._launch()
        assert process.stdout is not None
        try:
            async with asyncio.timeout(scaled(_START_SECONDS)):
                ready = await asyncio.to_thread(process.stdout.readline)
        except TimeoutError:
            self.kill()
            raise
        process.stdout.close()
        assert ready, "the simulator ended at once"

    def _launch(self) -> subprocess.Popen[bytes]:
        arguments = ["--port", str(self.port), "--state", str(self.state), "--key", KEY, *self.options]
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "simulator", self.provider, *arguments],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )
        return self.process

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it; return the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(10)


class ControlClient:
    """A client with its key, and requests to a simulator's control plane."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=scaled(10), trust_env=False, verify=_NO_AUTHORITIES
        )

    async def log(self, request_id: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the log's entries, optionally of one request or kind."""
        response = await self.http.get("/_sim/log", params={"limit": 10_000})
        return [
            entry
            for entry in response.json()["entries"]
            if request_id in (None, entry["request_id"]) and kind in (None, entry["kind"])
        ]

    async def fired(self, request_id: str | None) -> list[str]:
        """Return the names of the faults that applied to a request."""
        return [entry["fault"] for entry in await self.log(request_id, "fault_fired")]

    async def put_fault(self, fault: str, **values: Any) -> httpx.Response:
        return await self.http.put("/_sim/faults", content=json.dumps({"fault": fault, **values}))


class Client(ControlClient):
    """Requests to fal, over HTTP."""

    def __init__(self, url: str) -> None:
        super().__init__(url, {"Authorization": f"Key {KEY}"})

    async def submit(self, prompt: str, webhook_url: str | None = None, **arguments: Any) -> httpx.Response:
        params = {} if webhook_url is None else {"fal_webhook": webhook_url}
        body = {"prompt": prompt, "image_size": "square", **arguments}
        return await self.http.post(f"/{ENDPOINT}", json=body, params=params)

    async def submitted(
        self, prompt: str, webhook_url: str | None = None, **arguments: Any
    ) -> dict[str, Any]:
        response = await self.submit(prompt, webhook_url, **arguments)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def completed(self, handle: dict[str, Any]) -> dict[str, Any]:
        """Wait until the job is COMPLETED; return its status."""

        async def check() -> dict[str, Any] | None:
            response = await self.http.get(handle["status_url"])
            return dict(response.json()) if response.status_code == 200 else None

        return await eventually(check)

    async def result(self, handle: dict[str, Any]) -> httpx.Response:
        await self.completed(handle)
        return await self.http.get(handle["response_url"])
