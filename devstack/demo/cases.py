"""The three generations of the demonstration, and how each is meant to end."""

from dataclasses import dataclass
from typing import Any

MODEL = "flux-schnell"
SIZE = "512x512"
FORMAT = "png"
CONTENT_TYPE = "image/png"


@dataclass(frozen=True)
class Case:
    """One request and its intended ending. `fault`: what the simulator does, by a marker in the prompt."""

    name: str
    title: str
    subject: str
    status: str
    n: int = 1
    fault: str | None = None
    error_code: str | None = None

    @property
    def request(self) -> dict[str, Any]:
        marker = f" [sim:{self.fault}]" if self.fault else ""
        prompt = f"{self.subject}{marker}"
        return {"model": MODEL, "prompt": prompt, "n": self.n, "size": SIZE, "output_format": FORMAT}


WEBHOOK = Case(
    "webhook",
    "finished by a signed webhook",
    "A lighthouse in the fog, linocut in two colours",
    "completed",
    n=2,
)
POLLING = Case(
    "polling",
    "its webhook is lost, polling finishes it",
    "A tram in the rain at night, seen through a wet window",
    "completed",
    fault="drop_webhook",
)
REJECTED = Case(
    "rejected",
    "the provider rejects it, the credits go back",
    "Something that the provider's rules forbid",
    "failed",
    fault="moderation",
    error_code="content_rejected",
)
CASES = (WEBHOOK, POLLING, REJECTED)
