"""A small model of a tenant's credits and generations, and the steps that compare it to the database."""

from dataclasses import dataclass, field, replace

import pytest

from domain.charging import ChargePolicies, ChargePolicy
from domain.credits import Balance, Completion, HoldState, Refund, Reservation
from domain.errors import (
    ContentRejected,
    InsufficientCredits,
    ProviderFailed,
    ProviderRefused,
    ProviderUnavailable,
    QueueTimedOut,
    ResultUnusable,
    ServiceError,
    TooLateToCancel,
    WorkflowLost,
)
from domain.generation import Outcome, Status, TerminalState
from domain.moderation import ModeratedAt
from domain.ports import StoringStart, SubmitPermit
from domain.provider import AttemptRef, PollResult, ProviderJob, SubmitResult, SubmitState
from tests.contracts.events import failed
from tests.contracts.subjects import Subject
from tests.support.books import images
from tests.support.requests import request

UNCHARGED = failed(does_not_charge=True)
CHARGE = ChargePolicies(ChargePolicy.CHARGE, ChargePolicy.CHARGE)
# The answer to a submit that is run again, by the attempt's state.
STORED = {
    "sending": SubmitResult(SubmitState.UNKNOWN),
    "rejected": SubmitResult(SubmitState.REJECTED, code=ProviderRefused.code),
    "refused": SubmitResult(SubmitState.REJECTED, code=ContentRejected.code, moderated_at=ModeratedAt.INPUT),
    "accepted": SubmitResult(SubmitState.ACCEPTED, job_id="job-1"),
    "failed_uncharged": SubmitResult(SubmitState.ACCEPTED, job_id="job-1", verdict=PollResult.of(UNCHARGED)),
}
TERMINAL_STATES = {
    1: TerminalState(Status.CANCELED),
    2: TerminalState(Status.FAILED, ProviderFailed.code),
    3: TerminalState(Status.FAILED, WorkflowLost.code, attention="workflow_lost"),
    4: TerminalState(Status.FAILED, QueueTimedOut.code, unless_submitted=True),
    5: TerminalState(Status.FAILED, ContentRejected.code, moderated_at=ModeratedAt.OUTPUT),
}


@dataclass
class Life:
    """What the model knows of a generation.

    attempts: the state of each, by ordinal; as in domain/attempt.py. ordinal:
    of the attempt that a step is about. resolution: kind and amount of what resolved the hold.
    """

    id: str
    n: int
    price: int
    charges: bool = False
    cancel: bool = False
    held: bool = False
    attempts: dict[int, str] = field(default_factory=dict)
    ordinal: int = 1
    storing: bool = False
    stored: int = 0
    outcome: Outcome | None = None
    resolution: tuple[str, int] | None = None

    @property
    def ref(self) -> AttemptRef:
        return AttemptRef(self.id, self.ordinal)

    @property
    def attempt(self) -> str | None:
        return self.attempts.get(self.ordinal)

    @property
    def may_be_charged(self) -> bool:
        """Return whether any provider may charge the generation."""
        return any(state in ("sending", "accepted") for state in self.attempts.values())

    @property
    def open_hold(self) -> int:
        return self.price if self.held and self.resolution is None else 0

    @property
    def transfers(self) -> list[tuple[str, int]]:
        """Return the transfers: none without a hold; else the hold and at most one resolution."""
        resolutions = [] if self.resolution is None else [self.resolution]
        return [("hold", self.price), *resolutions] if self.held else []

    def end(self, status: Status, code: str | None = None) -> Outcome:
        """End it as a reserve or a refund does: the hold is returned, or charged for refused content."""
        charged = self.price if self.held and self._is_charged(status, code) else 0
        if self.held:
            kind = "expire" if code == WorkflowLost.code else "refund"
            self.resolution = ("settle" if charged else kind, self.price)
        self.outcome = Outcome(self.id, status, code, charged)
        return self.outcome

    def _is_charged(self, status: Status, code: str | None) -> bool:
        """Return whether the client caused the end, and its model charges that."""
        states = self.attempts.values()
        is_canceled = status is Status.CANCELED and self.cancel and "accepted" in states
        is_refused = code == ContentRejected.code and "refused" in states
        return self.charges and (is_canceled or is_refused)


@dataclass
class LedgerModel:
    """Takes a step on the subject and in the model, in any order that a workflow could take, and compares.

    A step that no workflow could take now is left out.
    """

    subject: Subject
    tenant_id: str
    granted: int
    lives: list[Life] = field(default_factory=list)

    @property
    def balance(self) -> Balance:
        held = sum(life.open_hold for life in self.lives)
        spent = sum(life.outcome.charged_credits for life in self.lives if life.outcome)
        return Balance(self.granted - held - spent, held, spent)

    async def create(self, n: int, price: int, *, charges: bool) -> None:
        wanted = request(n=n, price_credits=price, charging=CHARGE if charges else ChargePolicies())
        generation_id = await self.subject.books.add(self.tenant_id, wanted)
        self.lives.append(Life(generation_id, n, price, charges))

    async def grant(self, life: Life, number: int) -> None:
        await self.subject.books.grant(self.tenant_id, number)
        self.granted += number

    async def advance(self, life: Life, number: int) -> None:
        """Take the next step towards charged images."""
        if not life.held:
            await self.reserve(life, number)
        elif life.attempt in (None, "not_sent"):
            await self.begin(life, number)
        elif life.attempt in ("rejected", "refused", "failed_uncharged"):
            await self.switch_attempt(life, number)
        elif life.attempt == "sending":
            await self.accept(life, number)
        elif not life.storing:
            await self.begin_storing(life, number)
        else:
            await self.complete(life, number)

    async def request_cancel(self, life: Life, number: int) -> None:
        is_canceled = life.outcome is not None and life.outcome.status is Status.CANCELED
        if not is_canceled and (life.outcome is not None or life.storing):
            with pytest.raises(TooLateToCancel):
                await self.subject.books.cancel(life.id)
        else:
            await self.subject.books.cancel(life.id)
            life.cancel = True

    async def reserve(self, life: Life, number: int) -> None:
        if life.outcome is not None:
            expected = Reservation(HoldState.ALREADY_TERMINAL, life.outcome)
        elif life.cancel:
            expected = Reservation(HoldState.CANCELED, life.end(Status.CANCELED))
        elif life.held:
            expected = Reservation(HoldState.HELD)
        elif self.balance.available < life.price:
            outcome = life.end(Status.FAILED, InsufficientCredits.code)
            expected = Reservation(HoldState.INSUFFICIENT, outcome)
        else:
            life.held = True
            expected = Reservation(HoldState.HELD)
        reservation = await self.subject.ledger.reserve(life.id)
        assert replace(reservation, queued_seconds=None) == expected

    async def begin(self, life: Life, number: int) -> None:
        if not life.held:
            return
        answer = await self.subject.attempts.begin_submit(life.ref)
        if life.outcome is not None:
            assert answer == SubmitPermit(
                stored=SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=life.outcome)
            )
        elif life.attempt in STORED:
            assert answer == SubmitPermit(stored=STORED[life.attempt])
        elif life.cancel:
            assert answer == SubmitPermit(stored=SubmitResult(SubmitState.CANCELED))
        elif life.may_be_charged:
            # After a Reset in Temporal the first attempt gives way to the second.
            error = ProviderUnavailable if life.ordinal == 1 else ServiceError
            rejected = SubmitResult(SubmitState.REJECTED, code=error.code)
            assert answer == SubmitPermit(stored=rejected)
        else:
            charging = CHARGE if life.charges else ChargePolicies()
            assert answer.request == request(n=life.n, price_credits=life.price, charging=charging)
            life.attempts[life.ordinal] = "sending"

    async def switch_attempt(self, life: Life, number: int) -> None:
        """Switch to the second attempt, or after a Reset back to the first."""
        life.ordinal = 3 - life.ordinal

    async def never_send(self, life: Life, number: int) -> None:
        if life.attempt == "sending":
            await self.subject.attempts.record_not_sent(life.ref)
            life.attempts[life.ordinal] = "not_sent"

    async def reject(self, life: Life, number: int) -> None:
        if life.attempt == "sending":
            await self.subject.attempts.record_rejected(life.ref, ProviderRefused())
            life.attempts[life.ordinal] = "rejected"

    async def refuse(self, life: Life, number: int) -> None:
        if life.attempt == "sending":
            refusal = ContentRejected("no", at=ModeratedAt.INPUT)
            await self.subject.attempts.record_rejected(life.ref, refusal)
            life.attempts[life.ordinal] = "refused"

    async def accept(self, life: Life, number: int) -> None:
        if life.attempt in ("sending", "accepted"):
            await self.subject.attempts.record_accepted(life.ref, ProviderJob("job-1", {}))
            life.attempts[life.ordinal] = "accepted"

    async def fail_uncharged(self, life: Life, number: int) -> None:
        if life.attempt == "accepted" and not life.storing:
            await self.subject.attempts.record_result(life.ref, UNCHARGED)
            life.attempts[life.ordinal] = "failed_uncharged"

    async def begin_storing(self, life: Life, number: int) -> None:
        if life.attempt != "accepted":
            return
        answer = await self.subject.assets.begin_storing(life.ref, None)
        if life.outcome is not None:
            assert answer == StoringStart(outcome=life.outcome)
        elif life.cancel:
            assert answer == StoringStart()
        else:
            assert answer.result is not None
            assert len(answer.result.recorded) == life.stored
            life.storing = True

    async def record_images(self, life: Life, number: int) -> None:
        """Record the images without charging for them, as an earlier version did."""
        if life.storing and life.outcome is None and not life.stored:
            await self.subject.books.store(life.id, number)
            life.stored = number

    async def complete(self, life: Life, number: int) -> None:
        if not life.storing:
            return
        if life.outcome is None:
            life.stored = life.stored or number
            self._charge(life)
        assert life.outcome is not None
        completion = await self.subject.ledger.complete(life.id, images(life.id, number))
        assert completion == Completion(life.outcome, keeps_images=life.stored > 0)

    async def settle(self, life: Life, number: int) -> None:
        if life.outcome is None and not life.stored:
            with pytest.raises(ResultUnusable):
                await self.subject.ledger.settle(life.id)
            return
        if life.outcome is None:
            self._charge(life)
        assert await self.subject.ledger.settle(life.id) == life.outcome

    @staticmethod
    def _charge(life: Life) -> None:
        charged = life.price * min(life.stored, life.n) // life.n
        life.resolution = ("settle", charged)
        life.outcome = Outcome(life.id, Status.COMPLETED, None, charged, life.stored)

    async def refund(self, life: Life, number: int) -> None:
        ending = TERMINAL_STATES[number]
        refund = await self.subject.ledger.refund(life.id, ending)
        if life.outcome is not None:
            assert refund == Refund(life.outcome)
        elif ending.unless_submitted and life.may_be_charged:
            assert refund == Refund(None, submitted=True)
        else:
            assert refund == Refund(life.end(ending.status, ending.code))

    async def compare(self) -> None:
        """Compare the ledger with the model, and check that it is consistent."""
        books = self.subject.books
        balance = await books.balance(self.tenant_id)
        assert balance == self.balance
        assert balance.available >= 0
        await books.assert_consistent(self.tenant_id)
        for life in self.lives:
            assert await books.transfers(life.id) == life.transfers
            generation = await books.read(life.id)
            assert generation.status.is_terminal == (life.outcome is not None)
            if life.outcome is not None:
                assert generation.outcome == life.outcome
                assert generation.charged_credits + generation.refunded_credits == generation.held_credits
