"""The outbox of usage events, and who receives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.usage_events import Charge


@dataclass(frozen=True)
class UsageWork:
    """What a look at the outbox found: charges in the log that are not in it, and some that may be sent."""

    is_collecting_due: bool
    is_sending_due: bool


@dataclass(frozen=True)
class UsageResponse:
    """How a receiver took a batch. problem: a status or what broke, for the log; None if it took it."""

    problem: str | None
    retry_after_seconds: float | None = None


class UsageOutbox(Protocol):
    """Charges that a billing system has not taken yet, in the order of the log. Raises DatabaseUnavailable.

    One sender at a time has the lease of it. The clock is the database's.
    """

    async def start(self) -> None:
        """Have charges collected from now on, unless they are already."""
        ...

    async def look(self, sender: str) -> UsageWork: ...

    async def collect(self, limit: int) -> int:
        """Take in charges of the next events of the log; return how many events were read."""
        ...

    async def lease(self, sender: str, seconds: float) -> int | None:
        """Take or renew the lease; return how often sending failed in a row. None: another has it."""
        ...

    async def list_unsent(self, limit: int) -> Sequence[Charge]: ...

    async def mark_sent(self, sender: str, positions: Sequence[int]) -> None: ...

    async def note_failure(self, sender: str, problem: str, wait_seconds: float) -> None: ...

    async def release(self, sender: str) -> None: ...


class UsageReceiver(Protocol):
    """A billing system."""

    async def send_batch(self, charges: Sequence[Charge]) -> UsageResponse:
        """Send once. What fails is in the response, and raises nothing."""
        ...
