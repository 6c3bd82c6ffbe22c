"""The steps of a tenant's credits on PostgreSQL and in the oracle, and how they are compared.

The database's clock cannot be set: time passes because all moments of the tenant's lots move back by an hour.
They lie half an hour from the full hours of the oracle, so no step is near one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.lots import PostgresLots
from adapters.database.tenants import PostgresTenants
from domain.audit import SYSTEM
from domain.credits import Balance, Expiry, HoldState
from domain.errors import InsufficientCredits, ReferenceReused, TakeBackTooLarge, WorkflowLost
from domain.generation import Status, TerminalState
from domain.lots import Grant, Lot, LotCategory, TakeBackState
from tests.contracts.lot_oracle import REMAINING, Oracle, OracleKey, OracleLot
from tests.contracts.subjects import Subject
from tests.support.books import images
from tests.support.requests import request
from tests.support.tenant_lots import HOUR, sweep

PRIORITIES = (50, 50, 10)
PARTS = ("remaining", "spent", "expired", "voided", "withdrawn", "taken_back", "repaid")
PAYMENTS = 3


@dataclass(frozen=True)
class Job:
    """A generation whose price is held."""

    id: str
    n: int
    price: int


@dataclass
class LotHistory:
    """One tenant. A step takes three numbers, by which it chooses; with nothing to choose it does nothing."""

    subject: Subject
    tenant_id: str
    zero: datetime
    oracle: Oracle = field(default_factory=Oracle)
    jobs: list[Job] = field(default_factory=list)
    steps: int = 0
    seen: dict[str, Lot] = field(default_factory=dict)
    asked: list[tuple[str, str, int | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lots = PostgresLots(self.subject.books.database)
        self.accounts = PostgresCreditAccounts(self.subject.books.database)

    def moment(self, hours: int | None) -> datetime | None:
        return None if hours is None else self.zero + (hours - self.oracle.now) * HOUR

    async def make_key(self, budget: int | None, max_held: int | None) -> None:
        key = await PostgresTenants(self.subject.books.database).create_key(self.tenant_id, [])
        await self.subject.books.sql(
            "UPDATE api_keys SET monthly_budget_credits = :budget, max_held_credits = :held WHERE id = :id",
            budget=budget,
            held=max_held,
            id=key.key_id,
        )
        self.oracle.keys[key.key_id] = OracleKey(budget, max_held)

    def _grant(self, lot: OracleLot) -> Grant:
        return Grant(
            self.tenant_id,
            len(lot.places),
            lot.reference,
            LotCategory.PAID if lot.is_paid else LotCategory.PROMOTIONAL,
            lot.priority,
            self.moment(lot.starts),
            self.moment(lot.ends),
            is_payment=self._is_payment(lot),
        )

    def _payment(self, number: int) -> str:
        return f"{self.tenant_id}:payment:{number % PAYMENTS}"

    def _is_payment(self, lot: OracleLot) -> bool:
        """Some payments are granted by operators, who do not say that they are."""
        return lot.reference.startswith(f"{self.tenant_id}:payment:") and len(lot.places) % 3 > 0

    async def grant(self, first: int, second: int, third: int) -> None:
        reference = self._payment(third)
        if first % 2 or self.oracle.lot(reference) is not None:
            reference = f"{self.tenant_id}:gift:{self.steps}"
        now = self.oracle.now
        starts = {0: now, 1: now + 1, 2: now + 2}.get(second)
        ends = {0: now + 1, 1: now + 2, 2: now + 4}.get(third % 5)
        if starts is not None and ends is not None:
            ends = max(ends, starts + 1)
        lot = OracleLot(
            *(reference, second % 2 == 0, PRIORITIES[third % 3], starts, ends, self.steps),
            places=[REMAINING] * (first + 1),
        )
        assert (await self.lots.grant(self._grant(lot), by=SYSTEM)).is_new
        self.oracle.grant(lot)

    async def grant_again(self, first: int, second: int, third: int) -> None:
        if not self.oracle.lots:
            return
        grant = self._grant(self.oracle.lots[first % len(self.oracle.lots)])
        granted = await self.lots.grant(grant, by=SYSTEM)
        assert not granted.is_new
        assert granted.lot == self.seen[grant.reference]
        for other in (
            Grant(*(self.tenant_id, grant.amount_credits + 1, grant.reference)),
            Grant(*(self.tenant_id, grant.amount_credits, grant.reference), priority=99),
        ):
            with pytest.raises(ReferenceReused):
                await self.lots.grant(other, by=SYSTEM)

    async def hold(self, first: int, second: int, third: int) -> None:
        n, key = 1 + second % 3, [None, *self.oracle.keys][third % (1 + len(self.oracle.keys))]
        price = first if key is None else first % 4  # several fit under a cap
        generation_id = await self.subject.books.add(self.tenant_id, request(n=n, price_credits=price))
        await self.subject.books.sql(
            "UPDATE generations SET api_key_id = :key WHERE id = :id", key=key, id=generation_id
        )
        refusal = self.oracle.refusal(price, key)
        reservation = await self.subject.ledger.reserve(generation_id)
        if refusal is None:
            assert reservation.state is HoldState.HELD
            self.oracle.hold(generation_id, price, key)
            self.jobs.append(Job(generation_id, n, price))
        else:
            assert reservation.state is HoldState.INSUFFICIENT
            assert reservation.outcome is not None
            assert reservation.outcome.code == refusal

    async def settle(self, first: int, second: int, third: int) -> None:
        """Settle for some of the images, in one of the two ways that there are."""
        if not self.jobs:
            return
        job = self.jobs.pop(first % len(self.jobs))
        stored = 1 + second % job.n
        if third % 2:
            await self.subject.books.store(job.id, stored)
            outcome = await self.subject.ledger.settle(job.id)
        else:
            completion = await self.subject.ledger.complete(job.id, images(job.id, stored))
            outcome = completion.outcome
        assert outcome.charged_credits == job.price * stored // job.n
        self.oracle.resolve(job.id, outcome.charged_credits)

    async def refund(self, first: int, second: int, third: int) -> None:
        if not self.jobs:
            return
        job = self.jobs.pop(first % len(self.jobs))
        end = TerminalState(Status.CANCELED)
        if second % 2:
            end = TerminalState(Status.FAILED, WorkflowLost.code, attention="workflow_lost")
        await self.subject.ledger.refund(job.id, end)
        self.oracle.resolve(job.id, 0)

    async def sweep(self, first: int, second: int, third: int) -> None:
        await sweep(self.lots)
        self.oracle.sweep()

    async def expire(self, first: int, second: int, third: int) -> None:
        if self.oracle.lots:
            lot = self.oracle.lots[first % len(self.oracle.lots)]
            await self.lots.expire(self.seen[lot.reference].id, by=SYSTEM)
            self.oracle.expire(lot)

    async def void(self, first: int, second: int, third: int) -> None:
        if self.oracle.lots:
            lot = self.oracle.lots[first % len(self.oracle.lots)]
            await self.lots.void(self.seen[lot.reference].id, by=SYSTEM)
            self.oracle.void(lot)

    async def take_back(self, first: int, second: int, third: int) -> None:
        payment, amount = self._payment(second), first or None
        if third == 0 and self.oracle.lots:  # also of what nobody called a payment before
            payment = self.oracle.lots[second % len(self.oracle.lots)].reference
        lot, reference = self.oracle.lot(payment), f"refund:{self.steps}"
        asking = self.lots.take_back(self.tenant_id, payment, reference, amount, by=SYSTEM)
        if lot is not None and amount is not None and amount > self.oracle.unclaimed(lot):
            with pytest.raises(TakeBackTooLarge):
                await asking
            return
        taken = await asking
        self.oracle.take_back(payment, reference, amount)
        assert taken.is_new
        assert taken.applied_credits == self.oracle.applied.get((payment, reference))
        assert (taken.state is TakeBackState.PENDING) == (lot is None)
        self.asked.append((payment, reference, amount))

    async def take_back_again(self, first: int, second: int, third: int) -> None:
        if self.asked:
            payment, reference, amount = self.asked[first % len(self.asked)]
            taken = await self.lots.take_back(self.tenant_id, payment, reference, amount, by=SYSTEM)
            assert not taken.is_new
            assert taken.applied_credits == self.oracle.applied.get((payment, reference))
            with pytest.raises(ReferenceReused):
                await self.lots.take_back(self.tenant_id, payment, reference, (amount or 0) + 1, by=SYSTEM)

    async def withdraw(self, first: int, second: int, third: int) -> None:
        withdrawing = self.accounts.withdraw(self.tenant_id, first + 1, str(self.steps), by=SYSTEM)
        if first + 1 > self.oracle.available:
            with pytest.raises(InsufficientCredits):
                await withdrawing
        else:
            await withdrawing
            self.oracle.take(first + 1, "withdrawn")

    async def let_an_hour_pass(self, first: int, second: int, third: int) -> None:
        await self.subject.books.sql(
            "UPDATE lots SET created_at = created_at - interval '1 hour',"
            " effective_at = effective_at - interval '1 hour', expires_at = expires_at - interval '1 hour'"
            " WHERE tenant_id = :tenant",
            tenant=self.tenant_id,
        )
        self.oracle.now += 1

    async def compare(self, step: str) -> None:
        """Compare every lot and the balance with the oracle, and what must hold without one."""
        found = await self.lots.list_lots(self.tenant_id, after=None, limit=1000, open_only=False)
        now = {lot.reference: lot for lot in found}
        assert {reference: parts(lot) for reference, lot in now.items()} == {
            lot.reference: expected_parts(lot) for lot in self.oracle.lots
        }
        oracle = self.oracle
        held, spent = (sum(getattr(lot, part) for lot in found) for part in ("held", "spent"))
        assert await self.accounts.balance(self.tenant_id) == Balance(
            oracle.available, held, spent, oracle.owed, oracle.upcoming, self._next_expiry()
        )
        await self.subject.books.assert_consistent(self.tenant_id)
        if step in ("hold", "withdraw"):
            assert_promotional_first(self._spendable(), now)
        elif step in ("settle", "refund"):
            assert_promotional_spent_first(self.seen, now)
        elif step in ("expire", "void"):
            assert (
                len([lot for reference, lot in now.items() if parts(lot) != parts(self.seen[reference])]) <= 1
            )
        self.seen = now
        self.steps += 1

    def _next_expiry(self) -> Expiry | None:
        if self.oracle.next_expiry is None:
            return None
        ends, credits = self.oracle.next_expiry
        return Expiry(credits, self.zero + (ends - self.oracle.now) * HOUR)

    def _spendable(self) -> list[Lot]:
        return [self.seen[lot.reference] for lot in self.oracle.in_order()]


def parts(lot: Lot) -> dict[str, int]:
    return {part: getattr(lot, part) for part in (*PARTS, "held", "owed")}


def expected_parts(lot: OracleLot) -> dict[str, int]:
    return {part: lot.count(part) for part in PARTS} | {"held": lot.held, "owed": lot.owed}


def alike(lots: Iterable[Lot]) -> Iterable[tuple[Lot, Lot]]:
    """Return each promotional lot with each paid one of the same priority and expiry."""
    lots = list(lots)
    for promotional in (lot for lot in lots if lot.category is LotCategory.PROMOTIONAL):
        for paid in (lot for lot in lots if lot.category is LotCategory.PAID):
            if (promotional.priority, promotional.expires_at) == (paid.priority, paid.expires_at):
                yield promotional, paid


def assert_promotional_first(spendable: Iterable[Lot], now: dict[str, Lot]) -> None:
    """Of two spendable lots alike, a paid credit is not held or withdrawn while a promotional one remains."""
    for promotional, paid in alike(spendable):
        if now[paid.reference].remaining < paid.remaining:
            assert now[promotional.reference].remaining == 0


def assert_promotional_spent_first(before: dict[str, Lot], now: dict[str, Lot]) -> None:
    """Of two lots alike, a hold spends no paid credit where it returns a promotional one."""
    for promotional, paid in alike(before.values()):
        if now[paid.reference].spent > paid.spent:
            later = now[promotional.reference]
            assert promotional.held - later.held == later.spent - promotional.spent
