"""What the lifecycle needs of its engine: steps whose results are recorded, and a mailbox."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from domain.credits import Refund, Reservation
from domain.generation import Outcome, TerminalState, TimingPolicy
from domain.provider import AttemptRef, PollResult, ResultSignal, StoreRequest, StoreResult, SubmitResult

T = TypeVar("T")


@dataclass(frozen=True)
class Timed(Generic[T]):
    """A step's result, and when it was recorded: the only clock that a recovered workflow sees again."""

    value: T
    at_seconds: float


class MessageKind(StrEnum):
    """What a workflow can be told: the signals of Darkroom's."""

    RESULT = "result"
    CANCEL = "cancel"
    SLOT_GRANTED = "slot_granted"
    PROVIDER_CLOSED = "provider_closed"


@dataclass(frozen=True)
class Message:
    """One message to a workflow. ordinal: of the attempt that it is about; 0 if it is about none."""

    kind: MessageKind
    ordinal: int = 0
    result: ResultSignal | None = None


class Steps(Protocol):
    """Every step as the lifecycle calls it. Raises the ServiceError of a step that failed for good."""

    async def receive(self, timeout_seconds: float) -> Message | None:
        """Return the next message; None after the timeout."""
        ...

    async def check_input(self, generation_id: str) -> bool: ...

    async def reserve(self, generation_id: str) -> Timed[Reservation]: ...

    async def request_slot(self, attempt: AttemptRef) -> Timed[bool]: ...

    async def submit(self, attempt: AttemptRef, timing: TimingPolicy) -> Timed[SubmitResult]: ...

    async def poll(self, attempt: AttemptRef) -> Timed[PollResult]:
        """Poll once. A failed poll says nothing, like a job that runs."""
        ...

    async def cancel(self, attempt: AttemptRef) -> bool:
        """Ask the provider to stop; False if it could not be asked."""
        ...

    async def store(self, wanted: StoreRequest) -> StoreResult: ...

    async def settle(self, generation_id: str) -> Outcome: ...

    async def refund(self, generation_id: str, terminal_state: TerminalState, provider: str) -> Refund: ...
