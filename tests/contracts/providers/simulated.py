"""A simulated provider as a separate process, and its log."""

from dataclasses import dataclass, field
from typing import Any

from adapters.transport.http import HttpClient, Request
from devstack.process.ports import pick_free
from tests.simulator.process import SimulatorProcess


@dataclass
class SimulatedProvider(SimulatorProcess):
    """The simulator of any provider. polling_port: of BFL's regional host."""

    provider: str = "fal"
    polling_port: int = field(default_factory=pick_free)

    @property
    def polling_url(self) -> str:
        return f"http://127.0.0.1:{self.polling_port}"

    def __post_init__(self) -> None:
        if self.provider == "bfl":
            self.options += ("--polling-port", str(self.polling_port))

    async def accepted(self, http: HttpClient, prompt: str) -> int:
        """Return how many jobs with this prompt the provider has accepted, even without a response."""
        response = await http.send(Request("GET", f"{self.url}/_sim/log", params={"limit": "10000"}))
        entries: list[dict[str, Any]] = response.json()["entries"]
        return len(
            [entry for entry in entries if (entry["kind"], entry["prompt"]) == ("submit_accepted", prompt)]
        )
