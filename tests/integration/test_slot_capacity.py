"""A granted slot has a row of its provider's capacity, whoever granted it, and a free one has none."""

import asyncio

import pytest
from sqlalchemy import text

from adapters.database import provider_slots
from adapters.database.assets import PostgresAssets
from adapters.database.ledger import PostgresLedger
from adapters.database.provider_slots import PostgresProviderSlots
from domain.generation import Status, TerminalState
from domain.ports import SlotDecision
from domain.provider import AttemptRef, Pushback, SubmitState
from tests.support.books import PostgresBooks
from tests.support.last_try import LastTryAttempts
from tests.support.requests import new_id, request

GRANTED, WAITING = SlotDecision(granted=True), SlotDecision(granted=False)
CANCELED = TerminalState(Status.CANCELED)
_BE_GRANTING = "SELECT pg_advisory_xact_lock(7237002, hashtext(:provider))"
_GRANT_AS_BEFORE = "UPDATE provider_slots SET granted_at = clock_timestamp() WHERE generation_id = :id"


@pytest.fixture
def provider() -> str:
    return new_id("provider")


def slots(books: PostgresBooks, provider: str, limit: int) -> PostgresProviderSlots:
    return PostgresProviderSlots(books.database, {provider: limit})


async def attempts(books: PostgresBooks, provider: str, count: int) -> list[AttemptRef]:
    tenant_id = await books.tenant(1000)
    made = [AttemptRef(await books.add(tenant_id, request(provider=provider))) for _ in range(count)]
    for attempt in made:
        await PostgresLedger(books.database).reserve(attempt.generation_id)
    return made


async def release(books: PostgresBooks, attempt: AttemptRef) -> None:
    await PostgresLedger(books.database).refund(attempt.generation_id, CANCELED)


async def holders(books: PostgresBooks, provider: str) -> set[str]:
    """Return who has capacity, which is exactly who was granted a slot."""
    capacity = await books.sql(
        "SELECT generation_id FROM provider_capacity"
        " WHERE provider = :provider AND generation_id IS NOT NULL",
        provider=provider,
    )
    granted = await books.sql(
        "SELECT generation_id FROM provider_slots WHERE provider = :provider AND granted_at IS NOT NULL",
        provider=provider,
    )
    assert set(capacity) == set(granted)
    return {row[0] for row in capacity}


async def test_many_at_once_get_no_more_than_there_are(books: PostgresBooks, provider: str) -> None:
    made = await attempts(books, provider, 30)
    workers = [slots(books, provider, 7) for _ in range(3)]
    decisions = await asyncio.gather(
        *(workers[number % 3].request(attempt) for number, attempt in enumerate(made))
    )
    granted = {
        made[number].generation_id for number, decision in enumerate(decisions) if decision.granted
    } | {other.generation_id for decision in decisions for other in decision.to_notify}
    assert granted == await holders(books, provider)
    assert len(granted) == 7


async def test_every_slot_goes_on_however_many_release_and_grant_at_once(
    books: PostgresBooks, provider: str
) -> None:
    made = await attempts(books, provider, 24)
    workers = [slots(books, provider, 4) for _ in range(3)]
    for attempt in made:
        await workers[0].request(attempt)
    while held := await holders(books, provider):
        assert len(held) == min(4, await left(books, provider))

        async def pass_on(number: int, generation_id: str) -> None:
            await release(books, AttemptRef(generation_id))
            await workers[0].mark_notified(await workers[number % 3].grant_free(provider))

        await asyncio.gather(*(pass_on(*each) for each in enumerate(held)))
    assert await left(books, provider) == 0


async def left(books: PostgresBooks, provider: str) -> int:
    [row] = await books.sql(
        "SELECT count(*) FROM provider_slots WHERE provider = :provider", provider=provider
    )
    return int(row[0])


async def test_who_finds_another_granting_asks_again(
    books: PostgresBooks, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_slots, "_BUSY_PAUSES", (0.05,) * 1000)
    first, second, third = await attempts(books, provider, 3)
    one = slots(books, provider, 1)
    assert [await one.request(attempt) for attempt in (first, second)] == [GRANTED, WAITING]
    await release(books, first)
    async with books.database.begin() as session:
        await session.execute(text(_BE_GRANTING), {"provider": provider})
        asking = asyncio.create_task(one.request(third))
        done, _ = await asyncio.wait({asking}, timeout=0.1)
        assert not done
    assert await asking == SlotDecision(granted=False, to_notify=(second,))
    assert await holders(books, provider) == {second.generation_id}


async def test_a_free_slot_is_taken_while_another_is_granting(books: PostgresBooks, provider: str) -> None:
    [attempt] = await attempts(books, provider, 1)
    async with books.database.begin() as session:
        await session.execute(text(_BE_GRANTING), {"provider": provider})
        assert await slots(books, provider, 1).request(attempt) == GRANTED


async def test_a_limit_that_is_lowered_counts_all_who_have_a_slot(
    books: PostgresBooks, provider: str
) -> None:
    made = await attempts(books, provider, 5)
    for attempt in made[:4]:
        assert await slots(books, provider, 4).request(attempt) == GRANTED
    two = slots(books, provider, 2)
    assert await two.request(made[4]) == WAITING
    for attempt in made[:2]:
        await release(books, attempt)
        assert await two.grant_free(provider) == []
    await release(books, made[2])
    assert await two.grant_free(provider) == [made[4]]


async def test_a_limit_that_is_raised_admits_those_who_wait(books: PostgresBooks, provider: str) -> None:
    made = await attempts(books, provider, 3)
    for attempt in made:
        await slots(books, provider, 1).request(attempt)
    assert set(await slots(books, provider, 3).grant_free(provider)) == set(made[1:])


async def test_what_a_version_before_granted_counts(books: PostgresBooks, provider: str) -> None:
    """Before its capacity was numbered, and after that."""
    made = await attempts(books, provider, 4)
    one = slots(books, provider, 1)
    await books.sql(
        "INSERT INTO provider_slots (generation_id, ordinal, provider, tenant_id, granted_at)"
        " VALUES (:id, 1, :provider, 'any', now())",
        id=made[0].generation_id,
        provider=provider,
    )
    assert await one.request(made[1]) == WAITING
    await books.sql(_GRANT_AS_BEFORE, id=made[1].generation_id)
    assert await one.request(made[2]) == WAITING
    for attempt in made[:2]:
        assert await holders(books, provider) >= {made[1].generation_id}
        await release(books, attempt)
    assert await one.grant_free(provider) == [made[2]]
    assert await one.request(made[3]) == WAITING


async def test_an_attempt_that_is_pushed_back_frees_its_slot(books: PostgresBooks, provider: str) -> None:
    first, second = await attempts(books, provider, 2)
    one, records = slots(books, provider, 1), LastTryAttempts(books.database)
    assert [await one.request(attempt) for attempt in (first, second)] == [GRANTED, WAITING]
    await records.begin_submit(first)
    pushed_back = await records.record_pushed_back(first, Pushback("provider_throttled", 30.0))
    assert pushed_back.state is SubmitState.PUSHED_BACK
    assert await holders(books, provider) == set()
    assert await one.grant_free(provider) == [second]
    assert await holders(books, provider) == {second.generation_id}


async def test_a_lowered_limit_counts_those_with_the_highest_numbers_too(
    books: PostgresBooks, provider: str
) -> None:
    made = await attempts(books, provider, 8)
    for attempt in made[:7]:
        assert await slots(books, provider, 7).request(attempt) == GRANTED
    five = slots(books, provider, 5)
    for attempt in made[:3]:  # jobs stay on the numbers 4 to 7
        await release(books, attempt)
    assert await five.request(made[7]) == GRANTED
    assert len(await holders(books, provider)) == 5
    [another] = await attempts(books, provider, 1)
    assert await five.request(another) == WAITING


async def test_all_that_is_free_is_granted_however_unequal_the_queues_are(
    books: PostgresBooks, provider: str
) -> None:
    one = slots(books, provider, 1)
    lonely = [(await attempts(books, provider, 1))[0] for _ in range(6)]
    for attempt in (*lonely, *await attempts(books, provider, 40)):
        await one.request(attempt)
    assert len(await slots(books, provider, 40).grant_free(provider)) == 39


async def test_a_canceled_caller_leaves_the_grants_to_another(books: PostgresBooks, provider: str) -> None:
    first, second = await attempts(books, provider, 2)
    one = slots(books, provider, 1)
    assert [await one.request(attempt) for attempt in (first, second)] == [GRANTED, WAITING]
    await release(books, first)
    callers = [asyncio.create_task(one.grant_free(provider)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    callers[0].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [second] in results[1:]
    assert [] in results[1:]


async def test_who_is_refused_looks_again(
    books: PostgresBooks, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot that is released while a request is refused was not passed on: nobody was seen to wait."""
    first, second = await attempts(books, provider, 2)
    one = slots(books, provider, 1)
    assert await one.request(first) == GRANTED
    refuse = one._request

    async def released_meanwhile(
        attempt: AttemptRef, left_because: str | None = None
    ) -> tuple[SlotDecision, bool]:
        decision = await refuse(attempt, left_because)
        await release(books, first)
        return decision

    monkeypatch.setattr(one, "_request", released_meanwhile)
    assert await one.request(second) == GRANTED


@pytest.mark.parametrize("limit", [1, 2])
async def test_who_releases_the_last_slot_looks_for_those_it_cannot_see(
    books: PostgresBooks, provider: str, limit: int
) -> None:
    [attempt] = await attempts(books, provider, 1)
    assert await slots(books, provider, limit).request(attempt) == GRANTED
    start = await PostgresAssets(books.database).begin_storing(attempt, None)
    assert start.result is not None
    assert start.result.is_grant_due is (limit == 1)
