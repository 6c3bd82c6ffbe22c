"""Priority orders a tenant's own queue at a provider, and gives it no turn of another's."""

from collections.abc import Sequence

import pytest

from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from domain.controls import Controls, Priority
from domain.generation import Status, TerminalState
from domain.provider import AttemptRef
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request

CANCELED = TerminalState(Status.CANCELED)
LOW, NORMAL, HIGH = Priority.LOW, Priority.NORMAL, Priority.HIGH


@pytest.fixture
def provider() -> str:
    """Return a provider that only this test uses."""
    return new_id("provider")


@pytest.fixture
def slots(books: PostgresBooks, provider: str) -> PostgresProviderSlots:
    return PostgresProviderSlots(books.database, {provider: 1})


async def queued(
    books: PostgresBooks,
    slots: PostgresProviderSlots,
    provider: str,
    tenant: str,
    priorities: Sequence[Priority],
) -> list[AttemptRef]:
    """Request a slot for a generation of each priority, one after the other."""
    attempts = []
    for priority in priorities:
        wanted = request(provider=provider, controls=Controls(priority=priority))
        attempts.append(AttemptRef(await books.add(tenant, wanted)))
        await PostgresLedger(books.database).reserve(attempts[-1].generation_id)
        await slots.request(attempts[-1])
    return attempts


async def granted_in_turn(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str, first: AttemptRef
) -> list[AttemptRef]:
    """End who has the slot, again and again; return who had it."""
    order = [first]
    while True:
        await PostgresLedger(books.database).refund(order[-1].generation_id, CANCELED)
        granted = await slots.grant_free(provider)
        if not granted:
            return order
        [attempt] = granted
        await slots.mark_notified([attempt])
        order.append(attempt)


async def test_the_highest_priority_comes_first_and_of_equals_the_oldest(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str
) -> None:
    wanted = [NORMAL, LOW, NORMAL, HIGH, NORMAL, HIGH, LOW]
    attempts = await queued(books, slots, provider, await books.tenant(100), wanted)

    order = await granted_in_turn(books, slots, provider, attempts[0])

    assert order == [attempts[index] for index in (0, 3, 5, 2, 4, 1, 6)]


async def test_one_of_high_priority_passes_a_long_queue(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str
) -> None:
    """Let more wait before it than are looked at for one slot."""
    attempts = await queued(books, slots, provider, await books.tenant(200), [NORMAL] * 20 + [HIGH])
    await PostgresLedger(books.database).refund(attempts[0].generation_id, CANCELED)
    assert await slots.grant_free(provider) == [attempts[-1]]


@pytest.mark.parametrize("priority", Priority)
async def test_tenants_take_turns_whatever_they_say(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str, priority: Priority
) -> None:
    tenants = {"a": await books.tenant(100), "b": await books.tenant(100)}
    mine = await queued(books, slots, provider, tenants["a"], [priority] * 4)
    theirs = await queued(books, slots, provider, tenants["b"], [NORMAL] * 2)
    owners = dict.fromkeys(mine, "a") | dict.fromkeys(theirs, "b")

    order = await granted_in_turn(books, slots, provider, mine[0])

    # With one slot nobody else has one when it is free: the oldest that waits is next.
    assert [owners[attempt] for attempt in order] == list("aaaabb")


async def test_a_tenant_with_a_slot_waits_for_one_without_whatever_it_says(
    books: PostgresBooks, provider: str
) -> None:
    slots = PostgresProviderSlots(books.database, {provider: 2})
    mine = await queued(books, slots, provider, await books.tenant(100), [NORMAL, NORMAL, HIGH, HIGH])
    [only] = await queued(books, slots, provider, await books.tenant(100), [LOW])

    await PostgresLedger(books.database).refund(mine[0].generation_id, CANCELED)

    assert await slots.grant_free(provider) == [only]


async def test_a_position_counts_who_comes_first(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str
) -> None:
    wanted = [NORMAL, LOW, NORMAL, HIGH]
    attempts = await queued(books, slots, provider, await books.tenant(100), wanted)

    positions = [await slots.queue_position(attempt.generation_id) for attempt in attempts]

    assert [position and position.ahead for position in positions] == [None, 2, 1, 0]
