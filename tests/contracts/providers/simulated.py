"""A simulated provider as a separate process, and its log."""

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.simulator.process import KEY, REPOSITORY, SimulatorProcess, free_port

# Where `python -m simulator` is run from.
SIMULATOR_FOLDER = REPOSITORY


@dataclass
class SimulatedProvider(SimulatorProcess):
    """The simulator of any provider. polling_port: of BFL's regional host."""

    provider: str = "fal"
    polling_port: int = field(default_factory=free_port)

    @property
    def polling_url(self) -> str:
        return f"http://127.0.0.1:{self.polling_port}"

    def _launch(self) -> None:
        arguments = ["--port", str(self.port), "--state", str(self.state), "--key", KEY, *self.options]
        if self.provider == "bfl":
            arguments += ["--polling-port", str(self.polling_port)]
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "simulator", self.provider, *arguments],
            cwd=SIMULATOR_FOLDER,
            stdout=subprocess.DEVNULL,
        )

    async def accepted(self, http: httpx.AsyncClient, prompt: str) -> int:
        """Return how many jobs with this prompt the provider has accepted, even without a response."""
        response = await http.get(f"{self.url}/_sim/log", params={"limit": 10_000})
        entries: list[dict[str, Any]] = response.json()["entries"]
        return len(
            [entry for entry in entries if (entry["kind"], entry["prompt"]) == ("submit_accepted", prompt)]
        )
