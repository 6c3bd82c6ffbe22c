"""A generation whose price is held, and what its end costs."""

from dataclasses import dataclass

from domain.charging import ChargePolicies, ChargePolicy
from domain.credits import Balance
from domain.errors import (
    ContentRejected,
    ProviderFailed,
    WorkflowLost,
)
from domain.generation import Outcome, Status, TerminalState
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
