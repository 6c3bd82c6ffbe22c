"""What operators watch: how much is open, and where it stands."""

from dataclasses import dataclass, field
from typing import Protocol

from domain.books import BooksState
from domain.usage_events import UsageBacklog


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
        usage_events: What a billing system has not taken yet.
        books: What the last check of the books found.
    """

    stages: tuple[OpenStage, ...]
    queues: tuple[ProviderQueue, ...]
    held_credits: int
    flagged: int
    uncharged_credits: int
    max_uncharged_credits: int
    usage_events: UsageBacklog = field(default_factory=UsageBacklog)
    books: BooksState = field(default_factory=BooksState)


class Installation(Protocol):
    """Reads the state of the whole installation. Raises DatabaseUnavailable."""

    async def read_state(self) -> InstallationState: ...
