"""Attempts: what was submitted to providers, and what they reported. States: domain/attempt.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.errors import PermanentError
from domain.generation import GenerationRequest, Image
from domain.ports.provider_slots import Closure
from domain.progress import PollReport
from domain.provider import (
    AttemptRef,
    PollResult,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    Pushback,
    ResultSignal,
    SubmitResult,
)


@dataclass(frozen=True)
class SubmitPermit:
    """The result of a begin: a request to submit now, or the stored result if there is nothing to submit.

    Exactly one of the two is set.

    begun_at: With `request`, which try of the attempt this is. A try that was overtaken by a later one writes
        nothing but the job that it got.
    closure: With `request`, what is known of the provider.
    """

    request: GenerationRequest | None = None
    stored: SubmitResult | None = None
    begun_at: datetime | None = None
    closure: Closure = field(default_factory=Closure)


@dataclass(frozen=True)
class AttemptRecord:
    """An attempt as the database knows it.

    request: As the attempt's own provider takes it. job: Set if the provider is known to have one. result:
    Set if the end is known. begun_at: When it was submitted last.
    """

    request: GenerationRequest
    job: ProviderJob | None
    result: PollResult | None
    begun_at: datetime = field(compare=False, kw_only=True)


class Attempts(Protocol):
    """The record of each submit, written before a byte leaves.

    A writer that comes too late changes nothing and gets the stored state. Every method but `begin_submit`
    and `record_poll` raises GenerationNotFound for an attempt that was never begun.
    """

    async def begin_submit(self, attempt: AttemptRef) -> SubmitPermit:
        """Claim the right to submit, once."""
        ...

    async def record_accepted(self, attempt: AttemptRef, job: ProviderJob) -> SubmitResult: ...

    async def record_rejected(
        self, attempt: AttemptRef, error: PermanentError, begun_at: datetime
    ) -> SubmitResult: ...

    async def record_not_sent(self, attempt: AttemptRef, begun_at: datetime) -> None:
        """Record that the provider provably has nothing, so that the attempt may be begun again."""
        ...

    async def record_pushed_back(
        self, attempt: AttemptRef, pushback: Pushback, begun_at: datetime
    ) -> SubmitResult:
        """Record the same, give the slot back, and put the attempt into the queue again."""
        ...

    async def record_unknown(self, attempt: AttemptRef, begun_at: datetime) -> SubmitResult:
        """Record that the provider may have it or not, unless a webhook has named the job meanwhile."""
        ...

    async def record_lost(self, attempt: AttemptRef, message: str, begun_at: datetime) -> SubmitResult:
        """Record that a synchronous call ended without a result, which nothing can bring any more.

        It may be charged, so no other provider is asked, and an operator is to look at it. message: the
        provider's, with its id of the call, or ours.
        """
        ...

    async def get_attempt(self, attempt: AttemptRef) -> AttemptRecord: ...

    async def record_tentative(self, attempt: AttemptRef) -> float:
        """Record that a poll reported what is not believed yet; return how many seconds it has done so."""
        ...

    async def record_poll(self, attempt: AttemptRef, report: PollReport) -> None:
        """Store a poll that did not end the job; one of an attempt that has ended changes nothing."""
        ...

    async def record_result(self, attempt: AttemptRef, result: ProviderResult) -> None:
        """Store what a poll reported."""
        ...

    async def record_sync_result(
        self, attempt: AttemptRef, job_id: str, result: ProviderResult, images: Sequence[Image]
    ) -> bool:
        """Store a synchronous provider's whole response; False if its generation has ended without it."""
        ...


@dataclass(frozen=True)
class WebhookReceipt:
    """An inbox row. `signal` is what the workflow receives."""

    signal: ResultSignal
    generation_id: str
    relayed: bool


class Inbox(Protocol):
    """Webhooks, stored before their workflows are signaled."""

    async def record_event(self, provider: str, attempt: AttemptRef, event: ProviderEvent) -> WebhookReceipt:
        """Store an event; of equal ones the first counts. Raises GenerationNotFound."""
        ...

    async def mark_relayed(self, inbox_id: int) -> None: ...
