"""What operators watch: how much is open, and where it stands."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class OpenStage:
    """The open generations of one stage; `oldest_seconds`: since one of them came to it."""

    stage: str
    generations: int
    oldest_seconds: float


@dataclass(frozen=True)
class ProviderQueue:
    """A provider with jobs. `waiting` includes those that were pushed back."""

    provider: str
    slots_in_use: int
    waiting: int
    pushed_back: int
    is_closed: bool


@dataclass(frozen=True)
class InstallationState:
    """Everything open at one moment.

    Attributes:
        flagged: Generations that an operator is to look at, at most 10,000.
        uncharged_credits: What providers had taken on today (UTC) and no tenant paid, by the prices.
        max_uncharged_credits: The most of one tenant.
    """

    stages: tuple[OpenStage, ...]
    queues: tuple[ProviderQueue, ...]
    held_credits: int
    flagged: int
    uncharged_credits: int
    max_uncharged_credits: int


class Installation(Protocol):
    """Reads the state of the whole installation. Raises DatabaseUnavailable."""

    async def read_state(self) -> InstallationState: ...
