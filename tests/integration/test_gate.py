"""Places at providers: never more than there are, in turn by tenant, and none lost with its holder."""

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

PLACES = 3
GRANTED, WAITING = SlotDecision(granted=True), SlotDecision(granted=False)
CANCELED = TerminalState(Status.CANCELED)
# Copies of a generation, and a position in the line for each, behind the original's.
_COPY_GENERATION = """
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
                         n, price_credits, status, stage)
SELECT id || '-' || copy, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
       n, price_credits, status, stage
FROM generations, generate_series(1, :copies) AS copy WHERE id = :template
"""
_COPY_PLACE = """
INSERT INTO places (generation_id, ordinal, provider, tenant_id)
SELECT copy.id, 1, copy.provider, copy.tenant_id FROM generations AS copy WHERE copy.id LIKE :template || '-%'
"""


@pytest.fixture
def provider() -> str:
    """A provider of this test alone."""
    return new_id("provider")


@pytest.fixture
def gate(books: PostgresBooks, provider: str) -> PostgresProviderSlots:
    return PostgresProviderSlots(books.database, {provider: PLACES})


@pytest.fixture
def ledger(books: PostgresBooks) -> PostgresLedger:
    return PostgresLedger(books.database)


async def held(books: PostgresBooks, tenant: str, provider: str) -> AttemptRef:
    """A generation of the tenant whose credits are held."""
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


async def asked(gate: PostgresProviderSlots, attempts: Sequence[AttemptRef]) -> list[SlotDecision]:
    """All of them, one after the other."""
    return [await gate.request(attempt) for attempt in attempts]


async def test_there_are_as_many_places_as_the_plan_says(
    books: PostgresBooks, gate: PostgresProviderSlots, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, PLACES + 2)

    assert await asked(gate, attempts) == [GRANTED] * PLACES + [WAITING] * 2
    assert await asked(gate, attempts) == [GRANTED] * PLACES + [WAITING] * 2  # asking again changes nothing


async def test_many_at_once_never_take_more_places_than_there_are(
    books: PostgresBooks, gate: PostgresProviderSlots, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(200), provider, 20)

    admissions = await asyncio.gather(*(gate.request(attempt) for attempt in attempts))

    assert sum(admission.granted for admission in admissions) == PLACES
    assert await taken(books, provider) == PLACES


async def test_a_provider_without_a_limit_has_no_line(
    books: PostgresBooks, gate: PostgresProviderSlots
) -> None:
    attempts = await some_held(books, await books.tenant(100), new_id("provider"), PLACES + 1)
    assert await asked(gate, attempts) == [GRANTED] * (PLACES + 1)


@pytest.mark.parametrize("way", ["refunded", "storing"])
async def test_whatever_ends_the_providers_work_gives_the_place_back(
    books: PostgresBooks, gate: PostgresProviderSlots, ledger: PostgresLedger, provider: str, way: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, PLACES + 1)
    await asked(gate, attempts)
    if way == "refunded":
        await ledger.refund(attempts[0].generation_id, CANCELED)
    else:
        records = PostgresAttempts(books.database)
        await records.begin_submit(attempts[0])
        await records.record_accepted(attempts[0], ProviderJob("job", {}))
        await PostgresAssets(books.database).begin_storing(attempts[0], None)

    assert await gate.grant_free(provider) == [attempts[-1]]
    assert await gate.request(attempts[-1]) == GRANTED


async def test_who_gave_up_waiting_is_passed_over(
    books: PostgresBooks, gate: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, PLACES + 2)
    await asked(gate, attempts)
    await ledger.refund(attempts[PLACES].generation_id, CANCELED)
    await ledger.refund(attempts[0].generation_id, CANCELED)

    assert await gate.grant_free(provider) == [attempts[-1]]


async def test_a_tenant_with_500_jobs_does_not_hold_up_anothers_first_one(
    books: PostgresBooks, gate: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    busy = await some_held(books, await books.tenant(100), provider, PLACES)
    await asked(gate, busy)
    await books.sql(_COPY_GENERATION, template=busy[0].generation_id, copies=500)
    await books.sql(_COPY_PLACE, template=busy[0].generation_id)
    only = await held(books, await books.tenant(10), provider)
    assert await gate.request(only) == WAITING
    standing = await gate.queue_position(only.generation_id)
    assert standing is not None
    assert standing.ahead == 0

    await ledger.refund(busy[-1].generation_id, CANCELED)

    assert await gate.grant_free(provider) == [only]


async def test_tenants_take_turns(
    books: PostgresBooks, gate: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    owners: dict[AttemptRef, str] = {}
    for name, count in (("a", 6), ("b", 3), ("c", 1)):
        attempts = await some_held(books, await books.tenant(100), provider, count)
        await asked(gate, attempts)
        owners |= dict.fromkeys(attempts, name)
    inside = [attempt for attempt in owners if (await gate.request(attempt)).granted]
    order = [owners[attempt] for attempt in inside]
    while inside:
        await ledger.refund(inside.pop(0).generation_id, CANCELED)
        for attempt in await gate.grant_free(provider):
            await gate.mark_notified(attempt)
            order.append(owners[attempt])
            inside.append(attempt)

    assert order == list("aaabcabaab")


async def test_a_place_is_told_of_until_somebody_has_heard(
    books: PostgresBooks, gate: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, PLACES + 1)
    await asked(gate, attempts)
    await ledger.refund(attempts[0].generation_id, CANCELED)
    assert await gate.grant_free(provider) == [attempts[-1]]
    assert await gate.grant_free(provider) == [attempts[-1]]

    await gate.mark_notified(attempts[-1])

    assert await gate.grant_free(provider) == []


async def test_where_a_waiting_one_stands(
    books: PostgresBooks, gate: PostgresProviderSlots, provider: str
) -> None:
    attempts = await some_held(books, await books.tenant(100), provider, PLACES + 3)
    await asked(gate, attempts)

    standings = [await gate.queue_position(attempt.generation_id) for attempt in attempts]

    assert [standing and standing.ahead for standing in standings] == [None] * PLACES + [0, 1, 2]


async def test_after_a_429_nobody_is_let_in_until_the_time_is_over(
    books: PostgresBooks, gate: PostgresProviderSlots, provider: str
) -> None:
    attempt = await held(books, await books.tenant(10), provider)
    await gate.pause(provider, 60)
    await gate.pause(provider, 5)  # a shorter pause does not shorten a longer one
    assert 50 < await gate.paused_seconds(provider) <= 60
    assert await gate.request(attempt) == WAITING

    other = new_id("provider")
    assert await gate.paused_seconds(other) == 0


async def test_an_attempt_at_another_provider_leaves_the_first_ones_place(books: PostgresBooks) -> None:
    first, second = new_id("provider"), new_id("provider")
    gate = PostgresProviderSlots(books.database, {first: 1, second: 1})
    asked_for = request(provider=first)
    elsewhere = request(provider=second)
    tenant = await books.tenant(100)
    generation_id = await books.add(tenant, replace(asked_for, fallback=elsewhere))
    await PostgresLedger(books.database).reserve(generation_id)
    waiting = await held(books, tenant, first)
    assert await asked(gate, [AttemptRef(generation_id), waiting]) == [GRANTED, WAITING]

    assert await gate.request(AttemptRef(generation_id, 2)) == SlotDecision(granted=True, released_provider=first)
    assert await gate.grant_free(first) == [waiting]


async def test_what_has_ended_needs_no_place(
    books: PostgresBooks, gate: PostgresProviderSlots, ledger: PostgresLedger, provider: str
) -> None:
    attempt = await held(books, await books.tenant(10), provider)
    await ledger.refund(attempt.generation_id, CANCELED)
    assert await gate.request(attempt) == GRANTED
    assert await taken(books, provider) == 0
