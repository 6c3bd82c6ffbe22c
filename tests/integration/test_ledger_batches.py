"""Reserves and completions that share a transaction: each ends as it would alone."""

import asyncio

import pytest
from sqlalchemy import text

from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from domain.credits import Balance, Completion, HoldState, Reservation
from domain.errors import GenerationNotFound
from domain.generation import Outcome, Status, TerminalState
from tests.support.books import PostgresBooks, images
from tests.support.requests import new_id, request

PRICE = 4
CANCELED = TerminalState(Status.CANCELED)
_LOCK_GENERATION = "SELECT FROM generations WHERE id = :id FOR UPDATE"
_HOLD_ACCOUNT = "SELECT FROM accounts WHERE id = :id FOR UPDATE"


@pytest.fixture
def ledgers(database: Database) -> list[PostgresLedger]:
    """Return the ledgers of three workers."""
    return [PostgresLedger(database) for _ in range(3)]


async def added(books: PostgresBooks, tenant_id: str, count: int) -> list[str]:
    return [await books.add(tenant_id, request(price_credits=PRICE)) for _ in range(count)]


async def test_several_workers_hold_exactly_what_is_there(
    books: PostgresBooks, ledgers: list[PostgresLedger]
) -> None:
    tenant_id = await books.tenant(20 * PRICE)
    ids = await added(books, tenant_id, 60)
    # Each is asked for twice, of different workers.
    reserving = [
        ledgers[(number + again) % 3].reserve(generation_id, tenant_id)
        for number, generation_id in enumerate(ids)
        for again in range(2)
    ]
    reservations = await asyncio.gather(*reserving)
    held = {
        generation_id
        for number, generation_id in enumerate(ids)
        if HoldState.HELD in (reservations[2 * number].state, reservations[2 * number + 1].state)
    }
    assert len(held) == 20
    assert await books.balance(tenant_id) == Balance(0, 20 * PRICE, 0)
    await books.assert_consistent(tenant_id)


async def test_each_of_a_batch_gets_its_own_result(
    books: PostgresBooks, ledgers: list[PostgresLedger]
) -> None:
    ledger = ledgers[0]
    tenant_id = await books.tenant(2 * PRICE)
    ended, canceled, *others = await added(books, tenant_id, 5)
    await ledger.refund(ended, CANCELED)
    await books.cancel(canceled)
    unknown = new_id("gen")
    asked = [others[0], ended, unknown, canceled, others[1], others[2]]
    results = await asyncio.gather(
        *(ledger.reserve(generation_id, tenant_id) for generation_id in asked), return_exceptions=True
    )
    states = [result.state if isinstance(result, Reservation) else type(result) for result in results]
    assert states == [
        HoldState.HELD,
        HoldState.ALREADY_TERMINAL,
        GenerationNotFound,
        HoldState.CANCELED,
        HoldState.HELD,
        HoldState.INSUFFICIENT,
    ]
    await books.assert_consistent(tenant_id)


async def test_completions_at_once_are_charged_once_each(
    books: PostgresBooks, ledgers: list[PostgresLedger]
) -> None:
    tenant_id = await books.tenant(30 * PRICE)
    ids = await added(books, tenant_id, 30)
    await asyncio.gather(*(ledgers[0].reserve(generation_id, tenant_id) for generation_id in ids))
    refunded = await ledgers[0].refund(ids[0], CANCELED)
    completing = [
        ledgers[again].complete(generation_id, images(generation_id), tenant_id=tenant_id)
        for again in range(3)
        for generation_id in ids
    ]
    completions = await asyncio.gather(*completing)
    assert refunded.outcome is not None
    assert completions[:: len(ids)] == [Completion(refunded.outcome, keeps_images=False)] * 3
    for number, generation_id in enumerate(ids[1:], start=1):
        outcome = Outcome(generation_id, Status.COMPLETED, None, PRICE, 1)
        assert completions[number :: len(ids)] == [Completion(outcome, keeps_images=True)] * 3
    assert await books.balance(tenant_id) == Balance(PRICE, 0, 29 * PRICE)
    await books.assert_consistent(tenant_id)


async def test_an_image_that_cannot_be_recorded_fails_no_other(
    books: PostgresBooks, ledgers: list[PostgresLedger]
) -> None:
    """Two generations claim the same object: the batch fails, and then one of them alone."""
    tenant_id = await books.tenant(3 * PRICE)
    first, second, third = await added(books, tenant_id, 3)
    for generation_id in (first, second, third):
        await ledgers[0].reserve(generation_id, tenant_id)
    results = await asyncio.gather(
        ledgers[0].complete(first, images(first), tenant_id=tenant_id),
        ledgers[0].complete(second, images(first), tenant_id=tenant_id),
        ledgers[0].complete(third, images(third), tenant_id=tenant_id),
        return_exceptions=True,
    )
    completed = [isinstance(result, Completion) for result in results]
    assert sorted(completed) == [False, True, True]
    assert completed[2]
    assert await books.balance(tenant_id) == Balance(0, PRICE, 2 * PRICE)
    await books.assert_consistent(tenant_id)


async def test_another_tenants_locked_account_holds_up_nobody(
    books: PostgresBooks, ledgers: list[PostgresLedger]
) -> None:
    slow, quick = await books.tenant(PRICE), await books.tenant(PRICE)
    [slow_id], [quick_id] = await added(books, slow, 1), await added(books, quick, 1)
    async with books.database.begin() as session:
        await session.execute(text(_HOLD_ACCOUNT), {"id": f"{slow}:available"})
        waiting = asyncio.create_task(ledgers[0].reserve(slow_id, slow))
        assert (await ledgers[0].reserve(quick_id, quick)).state is HoldState.HELD
        assert not waiting.done()
    assert (await waiting).state is HoldState.HELD


async def test_a_locked_generation_holds_up_no_other_of_its_tenant(
    books: PostgresBooks, ledgers: list[PostgresLedger]
) -> None:
    tenant_id = await books.tenant(4 * PRICE)
    first, stuck, *others = await added(books, tenant_id, 4)
    async with books.database.begin() as session:
        await session.execute(text(_LOCK_GENERATION), {"id": stuck})
        reserving = {
            generation_id: asyncio.create_task(ledgers[0].reserve(generation_id, tenant_id))
            for generation_id in (first, stuck, *others)
        }
        for generation_id in (first, *others):
            assert (await reserving[generation_id]).state is HoldState.HELD
        assert not reserving[stuck].done()
    assert (await reserving[stuck]).state is HoldState.HELD
    await books.assert_consistent(tenant_id)
