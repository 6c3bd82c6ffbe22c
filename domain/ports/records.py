"""What is kept in the database. Every list has a limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.access import Caller
from domain.credits import Balance, Entry, Refund, Reservation
from domain.errors import PermanentError
from domain.generation import (
    Ending,
    Generation,
    GenerationInput,
    GenerationRequest,
    Image,
    Outcome,
    Stage,
    Status,
    Undelivered,
)
from domain.provider import (
    AttemptRef,
    PollAnswer,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultFile,
    ResultSignal,
    SubmitAnswer,
)


class Ledger(Protocol):
    """Double-entry credits. Each call is safe to repeat and to race with any other."""

    async def reserve(self, generation_id: str) -> Reservation:
        """Hold the price, or end the generation where that cannot be. Raises GenerationNotFound."""
        ...

    async def settle(self, generation_id: str) -> Outcome:
        """Charge for the stored images, return the rest, and complete the generation."""
        ...

    async def refund(self, generation_id: str, ending: Ending) -> Refund:
        """Return the hold, if there is one, and end the generation as `ending` says."""
        ...


class CreditAccounts(Protocol):
    """What clients read of their credits and operators add to them."""

    async def grant(self, tenant_id: str, amount_credits: int, reference: str) -> Balance:
        """Add credits, once per reference. Raises TenantNotFound, InvalidInput."""
        ...

    async def balance(self, tenant_id: str) -> Balance: ...

    async def entries(self, tenant_id: str, *, before: int | None, limit: int) -> Sequence[Entry]:
        """Newest first, with ids below `before`."""
        ...


@dataclass(frozen=True)
class Page:
    """Where a list goes on: what was created before this moment, or then with a smaller id."""

    created_at: datetime
    id: str


class Authenticator(Protocol):
    """Tells who an API key belongs to."""

    async def authenticate(self, api_key: str) -> Caller:
        """Raises Unauthenticated for anything but a genuine key that was not revoked."""
        ...


class Generations(Protocol):
    """The rows that outlive every workflow."""

    async def create(
        self, tenant_id: str, request: GenerationRequest, key: str | None, fingerprint: str
    ) -> tuple[Generation, bool]:
        """Store a request; False if the key already had one. Raises IdempotencyKeyReused."""
        ...

    async def find_by_key(self, tenant_id: str, key: str) -> tuple[Generation, str] | None:
        """What an Idempotency-Key already stands for, and its fingerprint."""
        ...

    async def get(self, generation_id: str) -> Generation:
        """Raises GenerationNotFound."""
        ...

    async def get_for(self, tenant_id: str, generation_id: str) -> Generation:
        """Raises GenerationNotFound, also for another tenant's."""
        ...

    async def list_for(
        self, tenant_id: str, *, status: Status | None, after: Page | None, limit: int
    ) -> Sequence[Generation]:
        """Newest first."""
        ...

    async def request_cancel(self, tenant_id: str, generation_id: str) -> Generation:
        """Write the wish down. Raises GenerationNotFound, TooLateToCancel."""
        ...


class Attempts(Protocol):
    """The record of what was asked of providers, written before a byte leaves."""

    async def begin(self, attempt: AttemptRef) -> SubmitAnswer | GenerationRequest:
        """Claim the right to submit, once; an answer instead if there is nothing left to submit."""
        ...

    async def accepted(self, attempt: AttemptRef, job: ProviderJob) -> None: ...

    async def rejected(self, attempt: AttemptRef, error: PermanentError) -> None: ...

    async def not_sent(self, attempt: AttemptRef) -> None:
        """The provider provably has nothing: the attempt may be begun again."""
        ...

    async def unknown(self, attempt: AttemptRef) -> SubmitAnswer:
        """Nobody knows; accepted after all if a webhook has told us meanwhile."""
        ...

    async def job(self, attempt: AttemptRef) -> "AttemptRecord":
        """What was asked for, and what is known of it. Raises GenerationNotFound."""
        ...

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None: ...

    async def answered(
        self, attempt: AttemptRef, job_id: str, result: ProviderResult, images: Sequence[Image]
    ) -> bool:
        """A synchronous provider's whole answer; False if it comes late, for a generation that has ended."""
        ...


@dataclass(frozen=True)
class Storing:
    """A result on its way home.

    provider: Whose result it is. files: where to fetch it, or delivered: what a synchronous provider's
    answer has put into our storage already. recorded: not empty if an earlier run already finished.
    """

    generation: Generation
    provider: str
    files: tuple[ResultFile, ...]
    delivered: tuple[Image, ...]
    undelivered: tuple[Undelivered, ...]
    recorded: tuple[Image, ...]


@dataclass(frozen=True)
class AttemptRecord:
    """An attempt as the database knows it.

    request: As its own provider takes it. job: where the provider is known to have one. verdict: where the
    end is known already.
    """

    request: GenerationRequest
    job: ProviderJob | None
    verdict: PollAnswer | None


class Gate(Protocol):
    """Places at providers, handed out in turn to the tenants that wait."""

    async def ask(self, attempt: AttemptRef) -> "Admission":
        """Take a place or a position in the line. Safe to repeat, and how a waiting one looks again."""
        ...

    async def hand_out(self, provider: str) -> Sequence[AttemptRef]:
        """Give free places to those whose turn it is; all who have one and do not know it yet."""
        ...

    async def told(self, attempt: AttemptRef) -> None:
        """Its workflow knows of its place."""
        ...

    async def slow_down(self, provider: str, seconds: float) -> None:
        """Let nobody in for a while."""
        ...

    async def closed_seconds(self, provider: str) -> float:
        """For how long nobody is let in; 0 where the door is open."""
        ...

    async def standing(self, generation_id: str) -> "Standing | None":
        """Where a waiting generation stands; None for one that does not wait."""
        ...


@dataclass(frozen=True)
class Admission:
    """Whether there is a place.

    to_tell: others that got theirs by the way. left: the provider whose place was given up for this one.
    """

    granted: bool
    to_tell: tuple[AttemptRef, ...] = ()
    left: str | None = None


@dataclass(frozen=True)
class Standing:
    """A position in a provider's line."""

    since: datetime
    ahead: int


class Assets(Protocol):
    """The stored images of a generation, and the way into storing them."""

    async def begin_storing(self, attempt: AttemptRef, inbox_id: int | None) -> Storing | Outcome | None:
        """What to store; the outcome if it has ended; None if a cancel came first."""
        ...

    async def expect_objects(self, generation_id: str) -> Generation | None:
        """Note that objects are about to be put before storing begins; None if the generation has ended."""
        ...

    async def finish_storing(
        self, generation_id: str, images: Sequence[Image], undelivered: Sequence[Undelivered] = ()
    ) -> bool:
        """Record all images at once; False if the generation has ended without any."""
        ...


@dataclass(frozen=True)
class Received:
    """An inbox row. `signal` is what the workflow is to be told."""

    signal: ResultSignal
    generation_id: str
    relayed: bool


class Inbox(Protocol):
    """Webhooks, kept before anyone is told of them."""

    async def receive(self, provider: str, attempt: AttemptRef, event: ProviderEvent) -> Received:
        """Keep an event; the first of equal ones counts. Raises GenerationNotFound."""
        ...

    async def mark_relayed(self, inbox_id: int) -> None: ...


@dataclass(frozen=True)
class Stranded:
    """An open generation that has not moved for a while."""

    input: GenerationInput
    title: str
    stage: Stage
    attempt: AttemptRef | None
    cancel_requested: bool


class Repairs(Protocol):
    """What the reconciler reads. Every list is limited."""

    async def stranded(self, older_than: timedelta, limit: int) -> Sequence[Stranded]: ...

    async def unrelayed(self, older_than: timedelta, limit: int) -> Sequence[Received]: ...

    async def unswept(self, older_than: timedelta, limit: int) -> Sequence[Generation]:
        """Ended without images, but storing had begun: objects may be left behind."""
        ...

    async def mark_swept(self, generation_id: str) -> None: ...
