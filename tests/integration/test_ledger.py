"""The ledger on PostgreSQL: races, and what the database itself refuses."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from adapters.database.ledger import PostgresLedger
from domain.credits import Balance, HoldState, Refund
from domain.errors import DatabaseUnavailable, ProviderFailed
from domain.generation import Outcome, Status, TerminalState
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.requests import request

FAILED = TerminalState(Status.FAILED, ProviderFailed.code)
PRICE = 4
SyncResult = TypeVar("SyncResult", bound=object)


@pytest.fixture
def ledger(books: PostgresBooks) -> PostgresLedger:
    return PostgresLedger(books.database)


async def persistently(step: Callable[[], Awaitable[SyncResult]]) -> SyncResult:
    """Repeat a step while the pool or a lock times out, as the workflow does."""

    async def tried() -> SyncResult | None:
        try:
            return await step()
        except DatabaseUnavailable:
            return None

    return await eventually(tried, timeout_seconds=40)


async def held(books: PostgresBooks, ledger: PostgresLedger, tenant_id: str) -> str:
    """Return a generation whose credits are held."""
    generation_id = await books.add(tenant_id, request(price_credits=PRICE))
    assert (await ledger.reserve(generation_id)).state is HoldState.HELD
    return generation_id


async def test_300_reservations_at_once_hold_exactly_what_is_there(
    books: PostgresBooks, ledger: PostgresLedger
) -> None:
    tenant_id = await books.tenant(100 * PRICE)
    wanted = request(price_credits=PRICE)
    ids = [await books.add(tenant_id, wanted) for _ in range(300)]

    answers = await asyncio.gather(*(persistently(lambda id=id: ledger.reserve(id)) for id in ids))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    # A repeat after a lost answer finds the failed row ended.
    assert sum(answer.state is HoldState.HELD for answer in answers) == 100
    assert await books.balance(tenant_id) == Balance(available=0, held=100 * PRICE, spent=0)
    statuses = await books.sql(
        "SELECT status, error_code, count(*) FROM generations WHERE tenant_id = :tenant GROUP BY 1, 2",
        tenant=tenant_id,
    )
    assert set(statuses) == {("queued", None, 100), ("failed", "insufficient_credits", 200)}
    await books.assert_consistent(tenant_id)


async def test_settle_and_refund_race_and_one_of_them_wins(
    books: PostgresBooks, ledger: PostgresLedger
) -> None:
    tenant_id = await books.tenant(100 * PRICE)
    open_ids = [await held(books, ledger, tenant_id) for _ in range(5)]
    raced = [await held(books, ledger, tenant_id) for _ in range(60)]
    for generation_id in raced:
        await books.store(generation_id)

    async def race(generation_id: str, *, settle_first: bool) -> tuple[Outcome, Refund]:
        settling = persistently(lambda: ledger.settle(generation_id))
        refunding = persistently(lambda: ledger.refund(generation_id, FAILED))
        if settle_first:
            settled, refunded = await asyncio.gather(settling, refunding)
        else:
            refunded, settled = await asyncio.gather(refunding, settling)
        return settled, refunded

    turns = zip(raced, itertools.cycle((True, False)))
    endings = await asyncio.gather(*(race(id, settle_first=first) for id, first in turns))

    for settled, refunded in endings:
        assert settled == refunded.outcome, "the loser is told of another ending"
    winners = Counter(settled.status for settled, _ in endings)
    assert winners[Status.COMPLETED] > 0, "the race never let a settle win"
    assert winners[Status.FAILED] > 0, "the race never let a refund win"
    for (settled, _), generation_id in zip(endings, raced, strict=True):
        resolution = "settle" if settled.status is Status.COMPLETED else "refund"
        assert await books.transfers(generation_id) == [("hold", PRICE), (resolution, PRICE)]
    spent = winners[Status.COMPLETED] * PRICE
    held_credits = len(open_ids) * PRICE
    assert await books.balance(tenant_id) == Balance(100 * PRICE - held_credits - spent, held_credits, spent)
    await books.assert_consistent(tenant_id)


@pytest.mark.parametrize(
    "change",
    [
        "stage = 'generating', status = 'processing', finished_at = NULL",
        "status = 'canceled', stage = 'canceled'",
        "charged_credits = 0, refunded_credits = held_credits",
        "finished_at = now() + interval '1 hour'",
    ],
)
async def test_the_database_refuses_to_reopen_an_ended_generation(
    books: PostgresBooks, ledger: PostgresLedger, change: str
) -> None:
    generation_id = await held(books, ledger, await books.tenant(10))
    await books.store(generation_id)
    await ledger.settle(generation_id)
    before = await books.read(generation_id)
    with pytest.raises(IntegrityError, match="has ended"):
        await books.sql(f"UPDATE generations SET {change} WHERE id = :id", id=generation_id)  # noqa: S608 - ours
    assert await books.read(generation_id) == before


async def test_the_database_refuses_a_step_back(books: PostgresBooks, ledger: PostgresLedger) -> None:
    generation_id = await held(books, ledger, await books.tenant(10))
    with pytest.raises(IntegrityError, match="may not go back to created"):
        await books.sql(
            "UPDATE generations SET status = 'created', stage = 'created' WHERE id = :id", id=generation_id
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET amount_credits = amount_credits + 1",
        "UPDATE entries SET amount_credits = 0",
        "DELETE FROM entries",
        "DELETE FROM transfers",
        "TRUNCATE entries",
        "TRUNCATE transfers, entries CASCADE",
        "UPDATE lot_entries SET held_change = 0",
        "DELETE FROM lot_entries",
        "TRUNCATE lot_entries",
    ],
)
async def test_the_database_refuses_to_change_ledger_rows(
    books: PostgresBooks, ledger: PostgresLedger, owners_books: PostgresBooks, statement: str
) -> None:
    tenant_id = await books.tenant(10)
    await held(books, ledger, tenant_id)
    with pytest.raises(IntegrityError, match="is append-only"):
        await owners_books.sql(statement)
    assert await books.balance(tenant_id) == Balance(6, 4, 0)
    await books.assert_consistent(tenant_id)


async def test_the_database_refuses_a_second_resolution(books: PostgresBooks, ledger: PostgresLedger) -> None:
    tenant_id = await books.tenant(10)
    generation_id = await held(books, ledger, tenant_id)
    await ledger.refund(generation_id, FAILED)
    with pytest.raises(IntegrityError, match="transfers_one_resolution"):
        await books.sql(
            "INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits)"
            " VALUES (:settle, :tenant, 'settle', :hold, :id, 4)",
            settle=f"{generation_id}:settle",
            hold=f"{generation_id}:hold",
            id=generation_id,
            tenant=tenant_id,
        )


async def test_the_database_refuses_entries_that_do_not_balance(books: PostgresBooks) -> None:
    tenant_id = await books.tenant(10)
    with pytest.raises(IntegrityError, match="must add up to zero"):
        await books.sql(
            "INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)"
            " VALUES (:grant, :held, 5, 5)",
            grant=f"grant:{tenant_id}:first",
            held=f"{tenant_id}:held",
        )


async def test_the_database_refuses_an_overdraft(books: PostgresBooks) -> None:
    tenant_id = await books.tenant(10)
    with pytest.raises(DBAPIError, match="accounts_no_overdraft"):
        await books.sql(
            "UPDATE accounts SET balance_credits = -1 WHERE tenant_id = :tenant AND kind = 'available'",
            tenant=tenant_id,
        )
