"""What every Ledger promises: the one in memory, which other tests lean on, and the one on PostgreSQL."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from domain.credits import Balance, HoldState, Refund
from domain.errors import GenerationNotFound, ProviderFailed, ResultUnusable
from domain.generation import Ending, Generation, GenerationRequest, Outcome, Stage, Status
from domain.ports import Ledger
from tests.support.books import PostgresBooks, images
from tests.support.memory import MemoryBooks, MemoryLedger
from tests.support.requests import new_id, request

FAILED = Ending(Status.FAILED, ProviderFailed.code)
PRICE = 4


class Books(Protocol):
    """What a test arranges and looks at besides the ledger."""

    async def tenant(self, credits: int = 0) -> str: ...
    async def add(self, tenant_id: str, wanted: GenerationRequest | None = None) -> str: ...
    async def read(self, generation_id: str) -> Generation: ...
    async def cancel(self, generation_id: str) -> None: ...
    async def store(self, generation_id: str, count: int = 1) -> None: ...
    async def balance(self, tenant_id: str) -> Balance: ...


class BooksInMemory:
    """The same for the fake."""

    def __init__(self) -> None:
        self.books = MemoryBooks()

    async def tenant(self, credits: int = 0) -> str:
        tenant_id = new_id("ten")
        self.books.grant(tenant_id, credits)
        return tenant_id

    async def add(self, tenant_id: str, wanted: GenerationRequest | None = None) -> str:
        return self.books.add(new_id("gen"), tenant_id, wanted or request()).id

    async def read(self, generation_id: str) -> Generation:
        return self.books.row(generation_id).generation()

    async def cancel(self, generation_id: str) -> None:
        self.books.row(generation_id).cancel_requested = True

    async def store(self, generation_id: str, count: int = 1) -> None:
        row = self.books.row(generation_id)
        row.images = tuple(images(generation_id, count))
        row.enter(Stage.SETTLING)

    async def balance(self, tenant_id: str) -> Balance:
        return self.books.balance(tenant_id)


Subject = tuple[Ledger, Books]


@pytest.fixture(params=["memory", "postgres"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        fake = BooksInMemory()
        return MemoryLedger(fake.books), fake
    database: Database = request.getfixturevalue("database")
    return PostgresLedger(database), PostgresBooks(database)


async def held(subject: Subject, *, n: int = 1) -> tuple[str, str]:
    """A tenant of 10 credits and its generation, whose price is held."""
    ledger, books = subject
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id, request(n=n, price_credits=PRICE))
    assert (await ledger.reserve(generation_id)).state is HoldState.HELD
    return tenant_id, generation_id


async def test_a_hold_is_taken_once(subject: Subject) -> None:
    ledger, books = subject
    tenant_id, generation_id = await held(subject)
    again = await ledger.reserve(generation_id)
    assert (again.state, again.outcome) == (HoldState.HELD, None)
    assert await books.balance(tenant_id) == Balance(6, 4, 0)
    assert (await books.read(generation_id)).stage is Stage.THROTTLED


@pytest.mark.parametrize(("delivered", "charged"), [(1, 1), (2, 2), (3, 4)])
async def test_what_was_delivered_is_charged_once(subject: Subject, delivered: int, charged: int) -> None:
    ledger, books = subject
    tenant_id, generation_id = await held(subject, n=3)
    await books.store(generation_id, delivered)
    outcome = await ledger.settle(generation_id)
    assert outcome == Outcome(generation_id, Status.COMPLETED, None, charged, delivered)
    assert await ledger.settle(generation_id) == outcome
    assert await ledger.refund(generation_id, FAILED) == Refund(outcome)
    assert (await ledger.reserve(generation_id)).outcome == outcome
    assert (await books.read(generation_id)).outcome == outcome
    assert await books.balance(tenant_id) == Balance(10 - charged, 0, charged)


async def test_a_refund_returns_the_hold_once(subject: Subject) -> None:
    ledger, books = subject
    tenant_id, generation_id = await held(subject)
    refund = await ledger.refund(generation_id, FAILED)
    outcome = Outcome(generation_id, Status.FAILED, ProviderFailed.code)
    assert refund == Refund(outcome)
    assert await ledger.refund(generation_id, Ending(Status.CANCELED)) == refund
    assert await ledger.settle(generation_id) == outcome
    generation = await books.read(generation_id)
    assert generation.outcome == outcome
    assert generation.problem is not None
    assert generation.problem.stage is Stage.THROTTLED
    assert await books.balance(tenant_id) == Balance(10, 0, 0)


async def test_a_refund_without_a_hold_moves_nothing(subject: Subject) -> None:
    ledger, books = subject
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id)
    refund = await ledger.refund(generation_id, Ending(Status.CANCELED))
    assert refund == Refund(Outcome(generation_id, Status.CANCELED))
    assert await books.balance(tenant_id) == Balance(10, 0, 0)


async def test_too_few_credits_fail_the_generation(subject: Subject) -> None:
    ledger, books = subject
    tenant_id = await books.tenant(PRICE - 1)
    generation_id = await books.add(tenant_id, request(price_credits=PRICE))
    reservation = await ledger.reserve(generation_id)
    assert reservation.state is HoldState.INSUFFICIENT
    generation = await books.read(generation_id)
    assert generation.outcome == reservation.outcome
    assert generation.outcome.code == "insufficient_credits"
    assert generation.problem is not None
    assert generation.problem.stage is Stage.RESERVING
    assert await books.balance(tenant_id) == Balance(PRICE - 1, 0, 0)


async def test_a_cancel_comes_before_the_hold(subject: Subject) -> None:
    ledger, books = subject
    tenant_id = await books.tenant(10)
    generation_id = await books.add(tenant_id)
    await books.cancel(generation_id)
    reservation = await ledger.reserve(generation_id)
    assert reservation.state is HoldState.CANCELED
    assert reservation.outcome == Outcome(generation_id, Status.CANCELED)
    assert await books.balance(tenant_id) == Balance(10, 0, 0)


async def test_nothing_stored_is_never_charged(subject: Subject) -> None:
    ledger, books = subject
    tenant_id, generation_id = await held(subject)
    with pytest.raises(ResultUnusable):
        await ledger.settle(generation_id)
    assert await books.balance(tenant_id) == Balance(6, 4, 0)


@pytest.mark.parametrize("step", ["reserve", "settle", "refund"])
async def test_an_unknown_generation_is_not_found(subject: Subject, step: str) -> None:
    ledger, _ = subject
    steps: dict[str, Callable[[str], Awaitable[object]]] = {
        "reserve": ledger.reserve,
        "settle": ledger.settle,
        "refund": lambda generation_id: ledger.refund(generation_id, FAILED),
    }
    with pytest.raises(GenerationNotFound):
        await steps[step](new_id("gen"))
