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
    """Everything open at one moment. flagged: generations that an operator is to look at, at most 10,000."""

    stages: tuple[OpenStage, ...]
    queues: tuple[ProviderQueue, ...]
    held_credits: int
    flagged: int


class Installation(Protocol):
    """Reads the state of the whole installation. Raises DatabaseUnavailable."""

    async def read_state(self) -> InstallationState: ...
