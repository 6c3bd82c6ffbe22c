"""Who pays for work that is not delivered: a late cancel, and content that was refused."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from domain.attempt import AttemptState
from domain.charging import ChargePolicies, ChargePolicy
from domain.credits import Balance
from domain.errors import (
    ContentRejected,
    ProviderFailed,
    ProviderTimedOut,
    SubmitUnknown,
    WorkflowLost,
)
from domain.generation import GenerationError, Outcome, Status, TerminalState
from domain.moderation import ModeratedAt
from domain.provider import AttemptRef, JobStatus, ProviderCost, ProviderJob, ProviderResult
from tests.contracts.subjects import Subject
from tests.support.requests import request

PRICE = 4
CANCELED = TerminalState(Status.CANCELED)
REFUSED = TerminalState(Status.FAILED, ContentRejected.code, moderated_at=ModeratedAt.OUTPUT)
SUCCEEDED = ProviderResult(JobStatus.SUCCEEDED)
REFUSAL = ProviderResult(JobStatus.FAILED, ContentRejected.code, moderated_at=ModeratedAt.OUTPUT)
FREE_REFUSAL = ProviderResult(
    JobStatus.FAILED, ContentRejected.code, moderated_at=ModeratedAt.OUTPUT, does_not_charge=True
)
CHARGE = ChargePolicies(ChargePolicy.CHARGE, ChargePolicy.CHARGE)
AT_COST = ChargePolicies(ChargePolicy.PROVIDER_COST, ChargePolicy.PROVIDER_COST, {"bfl_credit": 1.5})


@dataclass
class Held:
    """A generation whose price is held, of a tenant with 10 credits."""

    subject: Subject
    tenant_id: str
    id: str

    @property
    def ref(self) -> AttemptRef:
        return AttemptRef(self.id)

    async def submit(self, cost: ProviderCost | None = None) -> None:
        await self.subject.attempts.begin_submit(self.ref)
        await self.subject.attempts.record_accepted(self.ref, ProviderJob("job", {}, cost))

    async def cancel(self) -> None:
        await self.subject.books.cancel(self.id)

    async def end(self, end: TerminalState) -> int:
        """Return what the end charges; everything else went back."""
        refund = await self.subject.ledger.refund(self.id, end)
        assert refund.outcome is not None
        charged = refund.outcome.charged_credits
        assert refund.outcome == Outcome(self.id, end.status, end.code, charged)
        # Whatever comes later changes nothing.
        for later in (CANCELED, REFUSED, TerminalState(Status.FAILED, ProviderFailed.code)):
            assert await self.subject.ledger.refund(self.id, later) == refund
        assert await self.subject.ledger.settle(self.id) == refund.outcome
        books = self.subject.books
        assert await books.balance(self.tenant_id) == Balance(10 - charged, 0, charged)
        generation = await books.read(self.id)
        assert (generation.charged_credits, generation.refunded_credits) == (charged, PRICE - charged)
        resolution = ("settle", charged) if charged else ("refund", PRICE)
        if end.code == WorkflowLost.code:
            resolution = ("expire", PRICE)
        assert await books.transfers(self.id) == [("hold", PRICE), resolution]
        await books.assert_consistent(self.tenant_id)
        return charged

    async def uncharged(self) -> list[tuple[int, int]]:
        rows = await self.subject.books.sql(
            "SELECT generations, price_credits FROM uncharged_costs WHERE tenant_id = :id", id=self.tenant_id
        )
        return [tuple(row) for row in rows]


async def held(subject: Subject, charging: ChargePolicies) -> Held:
    tenant_id = await subject.books.tenant(10)
    wanted = request(price_credits=PRICE, charging=charging)
    found = Held(subject, tenant_id, await subject.books.add(tenant_id, wanted))
    await subject.ledger.reserve(found.id)
    return found


@pytest.mark.parametrize(
    ("charging", "charged"), [(ChargePolicies(), 0), (CHARGE, PRICE), (AT_COST, 3)], ids=str
)
async def test_a_cancel_after_the_submit_costs_what_the_model_says(
    subject: Subject, charging: ChargePolicies, charged: int
) -> None:
    generation = await held(subject, charging)
    await generation.submit(ProviderCost(Decimal("1.7"), "bfl_credit"))
    await generation.cancel()
    assert await generation.end(CANCELED) == charged
    assert await generation.uncharged() == [(1, PRICE - charged)] * (charged < PRICE)


@pytest.mark.parametrize(
    ("charging", "charged"), [(ChargePolicies(), 0), (CHARGE, PRICE), (AT_COST, 3)], ids=str
)
async def test_refused_content_costs_what_the_model_says(
    subject: Subject, charging: ChargePolicies, charged: int
) -> None:
    generation = await held(subject, charging)
    await generation.submit(ProviderCost(Decimal("1.7"), "bfl_credit"))
    await subject.attempts.record_result(generation.ref, REFUSAL)
    assert await generation.end(REFUSED) == charged
    read = await subject.books.read(generation.id)
    assert read.error == GenerationError(ContentRejected.code, ModeratedAt.OUTPUT)
    assert await generation.uncharged() == [(1, PRICE - charged)] * (charged < PRICE)


@pytest.mark.parametrize(
    "cost", [None, ProviderCost(Decimal(2), "token"), ProviderCost(Decimal(0), "bfl_credit")]
)
async def test_a_cost_that_is_not_known_charges_nothing(subject: Subject, cost: ProviderCost | None) -> None:
    generation = await held(subject, AT_COST)
    await generation.submit(cost)
    await generation.cancel()
    assert await generation.end(CANCELED) == 0
    assert await generation.uncharged() == [(1, PRICE)]


async def test_a_cost_above_the_price_charges_the_price(subject: Subject) -> None:
    generation = await held(subject, AT_COST)
    await generation.submit(ProviderCost(Decimal(99), "bfl_credit"))
    await generation.cancel()
    assert await generation.end(CANCELED) == PRICE


async def test_a_cancel_before_the_submit_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.cancel()
    assert await generation.end(CANCELED) == 0
    assert await generation.uncharged() == []


async def test_a_cancel_of_what_the_provider_does_not_bill_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await subject.attempts.record_result(generation.ref, FREE_REFUSAL)
    await generation.cancel()
    assert await generation.end(CANCELED) == 0
    assert await generation.uncharged() == []


async def test_a_cancel_of_an_unknown_submit_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await subject.attempts.begin_submit(generation.ref)
    await subject.attempts.record_unknown(generation.ref)
    await generation.cancel()
    assert await generation.end(TerminalState(Status.CANCELED, attention=SubmitUnknown.code)) == 0
    assert await generation.uncharged() == []


@pytest.mark.parametrize(
    "end",
    [
        CANCELED,
        TerminalState(Status.FAILED, ProviderTimedOut.code),
        TerminalState(Status.FAILED, ProviderFailed.code),
        TerminalState(Status.FAILED, SubmitUnknown.code),
        TerminalState(Status.FAILED, WorkflowLost.code, attention=WorkflowLost.code),
    ],
    ids=str,
)
async def test_what_the_client_did_not_cause_is_free(subject: Subject, end: TerminalState) -> None:
    """Without a request of the client, a cancel is an operator's."""
    generation = await held(subject, CHARGE)
    await generation.submit()
    assert await generation.end(end) == 0
    assert await generation.uncharged() == []


async def test_a_cancel_that_ends_with_its_workflow_lost_is_free(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await generation.submit()
    await generation.cancel()
    assert await generation.end(TerminalState(Status.CANCELED, attention=WorkflowLost.code)) == 0


async def test_our_own_check_charges_nothing(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    assert await generation.end(REFUSED) == 0
    assert await generation.uncharged() == []


async def test_a_refusal_that_took_nothing_is_charged_where_the_model_says_so(subject: Subject) -> None:
    generation = await held(subject, CHARGE)
    await subject.attempts.begin_submit(generation.ref)
    await subject.attempts.record_rejected(generation.ref, ContentRejected("no", at=ModeratedAt.INPUT))
    assert (await subject.books.noted(generation.ref)).state is AttemptState.REJECTED
    assert await generation.end(REFUSED) == PRICE


async def test_a_free_refusal_is_no_uncharged_cost(subject: Subject) -> None:
    generation = await held(subject, ChargePolicies())
    await generation.submit()
    await subject.attempts.record_result(generation.ref, FREE_REFUSAL)
    assert await generation.end(REFUSED) == 0
    assert await generation.uncharged() == []


async def test_without_a_hold_nothing_is_charged(subject: Subject) -> None:
    tenant_id = await subject.books.tenant(10)
    generation_id = await subject.books.add(tenant_id, request(charging=CHARGE))
    refund = await subject.ledger.refund(generation_id, REFUSED)
    assert refund.outcome == Outcome(generation_id, Status.FAILED, ContentRejected.code)
    assert await subject.books.balance(tenant_id) == Balance(10, 0, 0)
    assert await subject.books.transfers(generation_id) == []


async def test_uncharged_costs_of_a_day_add_up(subject: Subject) -> None:
    tenant_id = await subject.books.tenant(100)
    generations = []
    for _ in range(3):
        generation = Held(
            subject, tenant_id, await subject.books.add(tenant_id, request(price_credits=PRICE))
        )
        await subject.ledger.reserve(generation.id)
        await generation.submit()
        await generation.cancel()
        await subject.ledger.refund(generation.id, CANCELED)
        generations.append(generation)
    assert await generations[-1].uncharged() == [(3, 3 * PRICE)]
