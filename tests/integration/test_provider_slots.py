"""Provider slots: never more than the limit, tenants in turn, and none lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from adapters.database.assets import PostgresAssets
from adapters.database.attempts import PostgresAttempts
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from adapters.database.tables import ProviderSlotRow
from domain.generation import Status, TerminalState
from domain.ports import SlotDecision
from domain.provider import AttemptRef, ProviderJob
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request

SLOTS = 3
GRANTED, WAITING = SlotDecision(granted=True), SlotDecision(granted=False)
CANCELED = TerminalState(Status.CANCELED)
# Copies of a generation, each queued behind the original.
_COPY_GENERATION = """
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
                         n, price_credits, status, stage)
SELECT id || '-' || copy, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
       n, price_credits, status, stage
FROM generations, generate_series(1, :copies) AS copy WHERE id = :template
"""
_COPY_SLOT = """
INSERT INTO provider_slots (generation_id, ordinal, provider, tenant_id)
SELECT copy.id, 1, copy.provider, copy.tenant_id FROM generations AS copy WHERE copy.id LIKE :template || '-%'
"""


@pytest.fixture
def provider() -> str:
    """Return a provider that only this test uses."""
    return new_id("provider")


@pytest.fixture
def slots(books: PostgresBooks, provider: str) -> PostgresProviderSlots:
    return PostgresProviderSlots(books.database, {provider: SLOTS})


@pytest.fixture
def ledger(books: PostgresBooks) -> PostgresLedger:
    return PostgresLedger(books.database)


async def held(books: PostgresBooks, tenant: str, provider: str) -> AttemptRef:
    """Return a generation of the tenant whose credits are held."""
    generation_id = await books.add(tenant, request(provider=provider))
    await PostgresLedger(books.database).reserve(generation_id)
    return AttemptRef(generation_id)


async def some_held(books: PostgresBooks, tenant: str, provider: str, count: int) -> list[AttemptRef]:
    return [await held(books, tenant, provider) for _ in range(count)]


async def taken(books: PostgresBooks, provider: str) -> int:
    query = (
        select(func.count())
        .select_from(ProviderSlotRow)
        .where(col(ProviderSlotRow.provider) == provider, col(ProviderSlotRow.granted_at).is_not(None))
    )
    async with books.database.begin() as session:
        return int(await session.scalar(query) or 0)


async def request_each(slots: PostgresProviderSlots, attempts: Sequence[AttemptRef]) -> list[SlotDecision]:
    """Request a slot for each, one after the other."""
    return [await slots.request(attempt) for attempt in attempts]


async def test_there_are_as_many_slots_as_the_limit_says(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, SLOTS + 2)

    assert await request_each(slots, attempts) == [GRANTED] * SLOTS + [WAITING] * 2
    assert (
        await request_each(slots, attempts) == [GRANTED] * SLOTS + [WAITING] * 2
    )  # a repeat changes nothing


async def test_concurrent_requests_never_get_more_slots_than_there_are(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(200), provider, 20)

    decisions = await asyncio.gather(*(slots.request(attempt) for attempt in attempts))

    assert sum(decision.granted for decision in decisions) == SLOTS
    assert await taken(books, provider) == SLOTS


async def test_a_provider_without_a_limit_is_unlimited(
    books: PostgresBooks, slots: PostgresProviderSlots
) -> None:
    attempts = await some_held(books, await books.tenant(100), new_id("provider"), SLOTS + 1)
    assert await request_each(slots, attempts) == [GRANTED] * (SLOTS + 1)


@pytest.mark.parametrize("way", ["refunded", "storing"])
async def test_whatever_ends_the_providers_work_releases_the_slot(
    books: PostgresBooks, slots: PostgresProviderSlots, ledger: PostgresLedger, provider: str, way: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, SLOTS + 1)
    await request_each(slots, attempts)
    if way == "refunded":
        await ledger.refund(attempts[0].generation_id, CANCELED)
    else:
        records = PostgresAttempts(books.database)
        await records.begin_submit(attempts[0])
        await records.record_accepted(attempts[0], ProviderJob("job", {}))
        await PostgresAssets(books.database).begin_storing(attempts[0], None)

    assert await slots.grant_free(provider) == [attempts[-1]]
    assert await slots.request(attempts[-1]) == GRANTED


async def test_an_ended_generation_leaves_the_queue(
    books: PostgresBooks, slots: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, SLOTS + 2)
    await request_each(slots, attempts)
    await ledger.refund(attempts[SLOTS].generation_id, CANCELED)
    await ledger.refund(attempts[0].generation_id, CANCELED)

    assert await slots.grant_free(provider) == [attempts[-1]]


async def test_a_tenant_with_500_jobs_does_not_hold_up_anothers_first_one(
    books: PostgresBooks, slots: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    busy = await some_held(books, await books.tenant(100), provider, SLOTS)
    await request_each(slots, busy)
    await books.sql(_COPY_GENERATION, template=busy[0].generation_id, copies=500)
    await books.sql(_COPY_SLOT, template=busy[0].generation_id)
    only = await held(books, await books.tenant(10), provider)
    assert await slots.request(only) == WAITING
    position = await slots.queue_position(only.generation_id)
    assert position is not None
    assert position.ahead == 0

    await ledger.refund(busy[-1].generation_id, CANCELED)

    assert await slots.grant_free(provider) == [only]


async def test_tenants_take_turns(
    books: PostgresBooks, slots: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    owners: dict[AttemptRef, str] = {}
    for name, count in (("a", 6), ("b", 3), ("c", 1)):
        attempts = await some_held(books, await books.tenant(100), provider, count)
        await request_each(slots, attempts)
        owners |= dict.fromkeys(attempts, name)
    inside = [attempt for attempt in owners if (await slots.request(attempt)).granted]
    order = [owners[attempt] for attempt in inside]
    while inside:
        await ledger.refund(inside.pop(0).generation_id, CANCELED)
        for attempt in await slots.grant_free(provider):
            await slots.mark_notified([attempt])
            order.append(owners[attempt])
            inside.append(attempt)

    assert order == list("aaabcabaab")


async def test_a_grant_is_returned_until_its_workflow_was_notified(
    books: PostgresBooks, slots: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, SLOTS + 1)
    await request_each(slots, attempts)
    await ledger.refund(attempts[0].generation_id, CANCELED)
    assert await slots.grant_free(provider) == [attempts[-1]]
    assert await slots.grant_free(provider) == [], "who granted it notifies"
    await books.age_grants(provider)
    assert await slots.grant_free(provider) == [attempts[-1]]

    await slots.mark_notified([attempts[-1]])

    assert await slots.grant_free(provider) == []


async def test_queue_positions(books: PostgresBooks, slots: PostgresProviderSlots, provider: str) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, SLOTS + 3)
    await request_each(slots, attempts)

    positions = [await slots.queue_position(attempt.generation_id) for attempt in attempts]

    assert [position and position.ahead for position in positions] == [None] * SLOTS + [0, 1, 2]


async def test_an_attempt_at_another_provider_releases_the_first_ones_slot(books: PostgresBooks) -> None:
    first, second = new_id("provider"), new_id("provider")
    slots = PostgresProviderSlots(books.database, {first: 1, second: 1})
    asked_for = request(provider=first)
    fallback = request(provider=second)
    tenant = await books.tenant(100)
    generation_id = await books.add(tenant, replace(asked_for, fallback=fallback))
    await PostgresLedger(books.database).reserve(generation_id)
    waiting = await held(books, tenant, first)
    assert await request_each(slots, [AttemptRef(generation_id), waiting]) == [GRANTED, WAITING]

    assert await slots.request(AttemptRef(generation_id, 2)) == SlotDecision(
        granted=True, released_provider=first
    )
    assert await slots.grant_free(first) == [waiting]


async def test_an_ended_generation_needs_no_slot(
    books: PostgresBooks, slots: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    attempt = await held(books, await books.tenant(10), provider)
    await ledger.refund(attempt.generation_id, CANCELED)
    assert await slots.request(attempt) == GRANTED
    assert await taken(books, provider) == 0


async def test_two_attempts_that_change_providers_in_opposite_directions_do_not_block_each_other(
    books: PostgresBooks,
) -> None:
    """Move many at once between two full providers: a grant must not wait for a row that another deletes."""
    first, second = new_id("provider"), new_id("provider")
    slots = PostgresProviderSlots(books.database, {first: 2, second: 2})
    tenant = await books.tenant(1000)
    attempts = []
    for here, there in [(first, second), (second, first)] * 10:
        asked = replace(request(provider=here), fallback=request(provider=there))
        generation_id = await books.add(tenant, asked)
        await PostgresLedger(books.database).reserve(generation_id)
        attempts.append(AttemptRef(generation_id))
    await request_each(slots, attempts)

    moved = await asyncio.gather(
        *(slots.request(AttemptRef(attempt.generation_id, 2)) for attempt in attempts),
        *(slots.grant_free(provider) for provider in (first, second) * 5),
    )

    assert len(moved) == 30
    # What another transaction held at that moment was passed over; the next grant finds it.
    for provider in (first, second):
        await slots.grant_free(provider)
    assert [await taken(books, provider) for provider in (first, second)] == [2, 2]


async def test_a_position_far_back_is_a_lower_bound(
    books: PostgresBooks, slots: PostgresProviderSlots, provider: str
) -> None:
    template = await held(books, await books.tenant(100), provider)
    await slots.request(template)
    await books.sql(_COPY_GENERATION, template=template.generation_id, copies=1500)
    await books.sql(_COPY_SLOT, template=template.generation_id)
    last = (
        await books.sql(
            "SELECT generation_id FROM provider_slots WHERE provider = :provider AND granted_at IS NULL"
            " ORDER BY requested_at DESC, generation_id DESC LIMIT 1",
            provider=provider,
        )
    )[0][0]
    position = await slots.queue_position(last)
    assert position is not None
    assert (position.ahead >= 1000, position.is_exact) == (True, False)
