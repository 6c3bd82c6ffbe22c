"""A billing system that sends all twice and out of order, against an oracle, while credits are spent."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from adapters.database.ledger import PostgresLedger
from domain.credits import HoldState
from domain.errors import DatabaseUnavailable, ProviderFailed
from domain.generation import Status, TerminalState
from tests.integration.api.operators.billing import Billing, payment_id
from tests.integration.api.operators.oracle import Oracle
from tests.integration.api.service import Service, Tenant
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.requests import request

FAILED = TerminalState(Status.FAILED, ProviderFailed.code)
HISTORIES, PAYMENTS, JOBS = 8, 5, 12
PARTS = ("granted", "remaining", "held", "spent", "taken_back", "repaid", "owed")


@dataclass(frozen=True)
class TopUp:
    """A payment that succeeded."""

    payment: str
    amount: int


@dataclass(frozen=True)
class Refund:
    """A refund or chargeback of it."""

    payment: str
    reference: str
    amount: int | None


def messages_of(dice: random.Random) -> list[TopUp | Refund]:
    """Return what a payment provider tells: every top-up and every refund twice, in any order."""
    found: list[TopUp | Refund] = []
    for _ in range(PAYMENTS):
        payment, amount = payment_id(), dice.randint(1, 30)
        found.append(TopUp(payment, amount))
        for number in range(dice.choice((0, 0, 1, 1, 2, 3))):
            part = dice.choice((None, dice.randint(1, amount)))
            found.append(Refund(payment, f"re_{number}", part))
    twice = found * 2
    dice.shuffle(twice)
    return twice


async def send(billing: Billing, tenant: Tenant, message: TopUp | Refund) -> int:
    """Send a message; return the status of the answer."""
    if isinstance(message, TopUp):
        answer = await billing.grant(tenant, message.amount, message.payment)
    else:
        answer = await billing.take_back(tenant, message.payment, message.reference, message.amount)
    return answer.status_code


class Spender:
    """Holds and spends credits of a tenant by the ledger, as workflows do."""

    def __init__(self, service: Service, tenant: Tenant, dice: random.Random) -> None:
        self.books = PostgresBooks(service.database)
        self.ledger = PostgresLedger(service.database)
        self.tenant = tenant
        self.dice = dice
        self.open: list[str] = []

    async def hold(self, price: int) -> tuple[str, bool]:
        """Return a job, and whether its credits are held."""
        job = await self.books.add(self.tenant.id, request(price_credits=price))
        is_held = (await self.ledger.reserve(job)).state is HoldState.HELD
        if is_held:
            self.open.append(job)
        return job, is_held

    async def end(self) -> tuple[str, bool]:
        """End an open job; return it, and whether it was charged."""
        job = self.open.pop(self.dice.randrange(len(self.open)))
        charged = self.dice.random() < 0.6
        if charged:
            await self.books.store(job)
            await self.ledger.settle(job)
        else:
            await self.ledger.refund(job, FAILED)
        return job, charged


async def assert_as_expected(billing: Billing, tenant: Tenant, oracle: Oracle) -> None:
    assert await billing.balance(tenant) == oracle.balance
    lots = (await billing.credits(tenant, open_only=False, limit=100))["lots"]
    found = {lot["reference"]: {part: lot[part] for part in PARTS} for lot in lots}
    expected = {payment: {part: getattr(lot, part) for part in PARTS} for payment, lot in oracle.lots.items()}
    assert found == expected
    assert [lot["reference"] for lot in reversed(lots)] == list(oracle.lots)


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_sent_twice_and_out_of_order_it_is_as_the_oracle_says(
    service: Service, billing: Billing, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret
    tenant, oracle = await service.tenant(credits=0), Oracle()
    spender = Spender(service, tenant, dice)
    steps: list[TopUp | Refund | str] = [*messages_of(dice), *["hold"] * JOBS, *["end"] * JOBS]
    dice.shuffle(steps)

    for step in steps:
        if step == "hold":
            price = dice.randint(1, 12)
            job, is_held = await spender.hold(price)
            assert is_held == oracle.hold(job, price)
        elif step == "end" and spender.open:
            job, charged = await spender.end()
            (oracle.settle if charged else oracle.release)(job)
        elif isinstance(step, TopUp):
            assert await send(billing, tenant, step) == oracle.grant(step.payment, step.amount)
        elif isinstance(step, Refund):
            expected = oracle.take_back(step.payment, step.reference, step.amount)
            assert await send(billing, tenant, step) == expected
        await assert_as_expected(billing, tenant, oracle)

    for payment, refunds in oracle.refunds.items():
        known = await billing.payment(payment)
        found = {each["reference"]: (each["amount"], each["applied"]) for each in known["take_backs"]}
        assert found == {name: (refund.amount, refund.applied) for name, refund in refunds.items()}
    await spender.books.assert_consistent(tenant.id)


def messages_that_no_order_refuses(dice: random.Random) -> list[TopUp | Refund]:
    """Return top-ups with refunds that together are at most the payment."""
    found: list[TopUp | Refund] = []
    for _ in range(2 * PAYMENTS):
        payment, amount = payment_id(), dice.randint(4, 30)
        found.append(TopUp(payment, amount))
        found += [Refund(payment, f"re_{each}", amount // 4) for each in range(dice.randint(0, 3))]
    return found


async def sent_all_at_once(
    billing: Billing, tenant: Tenant, messages: list[TopUp | Refund], spender: Spender
) -> list[tuple[TopUp | Refund, int]]:
    """Send every message until it is answered, while credits are spent; return each with the status."""

    async def sent(message: TopUp | Refund) -> tuple[TopUp | Refund, int]:
        async def status() -> int | None:
            answered = await send(billing, tenant, message)
            return answered if answered != 503 else None

        return message, await eventually(status)

    async def spend() -> None:
        try:
            await spender.hold(spender.dice.randint(1, 6))
            if spender.open and spender.dice.random() < 0.7:
                await spender.end()
        except DatabaseUnavailable:  # a lock that was not free in time; the step did nothing
            pass

    answers, _ = await asyncio.gather(
        asyncio.gather(*(sent(message) for message in messages)),
        asyncio.gather(*(spend() for _ in range(JOBS))),
    )
    return answers


@pytest.mark.parametrize("seed", range(4))
async def test_sent_twice_all_at_once_each_counts_once(service: Service, billing: Billing, seed: int) -> None:
    dice = random.Random(1000 + seed)  # noqa: S311 - no secret
    tenant = await service.tenant(credits=0)
    spender = Spender(service, tenant, dice)
    messages = messages_that_no_order_refuses(dice)
    twice = messages * 2
    dice.shuffle(twice)

    answers = await sent_all_at_once(billing, tenant, twice, spender)

    for message in messages:
        statuses = {status for other, status in answers if other == message}
        expected = ({200, 201},) if isinstance(message, TopUp) else ({200, 201}, {200, 202})
        assert statuses in expected, message
    granted = sum(message.amount for message in messages if isinstance(message, TopUp))
    taken = sum(message.amount or 0 for message in messages if isinstance(message, Refund))
    available, held, spent, owed = await billing.balance(tenant)
    assert available + held + spent - owed == granted - taken
    lots = (await billing.credits(tenant, open_only=False, limit=100))["lots"]
    totals = {part: sum(lot[part] for lot in lots) for part in PARTS}
    assert totals["granted"] == granted
    found = [totals[part] for part in ("remaining", "held", "spent", "owed")]
    assert found == [available, held, spent, owed]
    actions = await service.words("SELECT action FROM audit_events WHERE tenant_id = :id", id=tenant.id)
    recorded = Counter(actions)
    assert recorded["grant_credits"] == sum(isinstance(each, TopUp) for each in messages)
    assert recorded["take_back_credits"] == sum(isinstance(each, Refund) for each in messages)
    await spender.books.assert_consistent(tenant.id)
