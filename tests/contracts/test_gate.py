"""What every ProviderSlots promises, in memory and on PostgreSQL. Whose turn it is only PostgreSQL's gate weighs."""

from collections.abc import Awaitable, Callable

import pytest

from domain.generation import Status, TerminalState
from domain.ports import ProviderSlots, SlotDecision
from domain.provider import AttemptRef, ProviderJob
from tests.contracts.events import attempt_of_a_hold, with_fallback
from tests.contracts.subjects import Subject
from tests.support.requests import new_id, request

PLACES = 2
GRANTED, WAITING = SlotDecision(granted=True), SlotDecision(granted=False)
CANCELED = TerminalState(Status.CANCELED)
GiveBack = Callable[[Subject, AttemptRef], Awaitable[None]]


@pytest.fixture
def provider() -> str:
    """A provider of this test alone."""
    return new_id("provider")


@pytest.fixture
def gate(subject: Subject, provider: str) -> ProviderSlots:
    return subject.gate({provider: PLACES})


async def line(subject: Subject, gate: ProviderSlots, provider: str, count: int) -> list[AttemptRef]:
    """So many that have asked, one after the other."""
    attempts = [await attempt_of_a_hold(subject, request(provider=provider)) for _ in range(count)]
    for attempt in attempts:
        await gate.request(attempt)
    return attempts


async def refund(subject: Subject, attempt: AttemptRef) -> None:
    await subject.ledger.refund(attempt.generation_id, CANCELED)


async def begin_storing(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_accepted(attempt, ProviderJob("job-1", {}))
    await subject.assets.begin_storing(attempt, None)


async def test_there_are_so_many_places_and_no_more(
    subject: Subject, gate: ProviderSlots, provider: str
) -> None:
    attempts = [await attempt_of_a_hold(subject, request(provider=provider)) for _ in range(PLACES + 2)]
    for _ in range(2):  # asking again changes nothing
        admissions = [await gate.request(attempt) for attempt in attempts]
        assert admissions == [GRANTED] * PLACES + [WAITING] * 2
    assert await gate.grant_free(provider) == []


async def test_a_provider_without_a_limit_has_no_line(subject: Subject, gate: ProviderSlots) -> None:
    provider = new_id("provider")
    attempts = await line(subject, gate, provider, PLACES + 1)
    assert [await gate.request(attempt) for attempt in attempts] == [GRANTED] * (PLACES + 1)
    assert await gate.grant_free(provider) == []
    assert await gate.queue_position(attempts[-1].generation_id) is None


async def test_each_provider_has_a_line_of_its_own(subject: Subject, provider: str) -> None:
    other = new_id("provider")
    gate = subject.gate({provider: 1, other: 1})
    here, there = await line(subject, gate, provider, 2), await line(subject, gate, other, 2)
    assert [await gate.request(attempt) for attempt in (*here, *there)] == [GRANTED, WAITING] * 2
    await refund(subject, here[0])
    assert await gate.grant_free(other) == []
    assert await gate.grant_free(provider) == [here[1]]


@pytest.mark.parametrize("give_back", [refund, begin_storing])
async def test_whatever_ends_the_providers_work_gives_the_place_back(
    subject: Subject, gate: ProviderSlots, provider: str, give_back: GiveBack
) -> None:
    attempts = await line(subject, gate, provider, PLACES + 2)
    await give_back(subject, attempts[0])
    assert await gate.grant_free(provider) == [attempts[PLACES]]
    assert await gate.request(attempts[PLACES]) == GRANTED
    assert await gate.request(attempts[PLACES + 1]) == WAITING


async def test_who_gave_up_waiting_is_passed_over(
    subject: Subject, gate: ProviderSlots, provider: str
) -> None:
    attempts = await line(subject, gate, provider, PLACES + 2)
    await refund(subject, attempts[PLACES])
    await refund(subject, attempts[0])
    assert await gate.grant_free(provider) == [attempts[PLACES + 1]]


async def test_a_place_is_told_of_until_somebody_has_heard(
    subject: Subject, gate: ProviderSlots, provider: str
) -> None:
    attempts = await line(subject, gate, provider, PLACES + 1)
    await refund(subject, attempts[0])
    for _ in range(2):
        assert await gate.grant_free(provider) == [attempts[-1]]
    await gate.mark_notified(attempts[-1])
    assert await gate.grant_free(provider) == []
    assert await gate.request(attempts[-1]) == GRANTED


async def test_who_asks_again_has_heard_of_its_place(
    subject: Subject, gate: ProviderSlots, provider: str
) -> None:
    attempts = await line(subject, gate, provider, PLACES + 1)
    await refund(subject, attempts[0])
    assert await gate.request(attempts[-1]) == GRANTED
    assert await gate.grant_free(provider) == []


async def test_who_asks_lets_in_whoever_is_before_it(
    subject: Subject, gate: ProviderSlots, provider: str
) -> None:
    attempts = await line(subject, gate, provider, PLACES + 2)
    await refund(subject, attempts[0])
    assert await gate.request(attempts[-1]) == SlotDecision(granted=False, to_notify=(attempts[PLACES],))
    assert await gate.grant_free(provider) == [attempts[PLACES]], "it has not been told yet"


async def test_where_a_waiting_one_stands(subject: Subject, gate: ProviderSlots, provider: str) -> None:
    attempts = await line(subject, gate, provider, PLACES + 3)
    await refund(subject, attempts[PLACES + 1])
    standings = [await gate.queue_position(attempt.generation_id) for attempt in attempts]
    assert [standing and standing.ahead for standing in standings] == [None] * PLACES + [0, None, 1]


@pytest.mark.parametrize("elsewhere_has_a_limit", [True, False])
async def test_going_elsewhere_gives_up_the_place(
    subject: Subject, provider: str, elsewhere_has_a_limit: bool
) -> None:
    other = new_id("provider")
    gate = subject.gate({provider: 1} | ({other: 1} if elsewhere_has_a_limit else {}))
    first = await attempt_of_a_hold(subject, with_fallback(request(provider=provider), provider=other))
    assert await gate.request(first) == GRANTED
    [waiting] = await line(subject, gate, provider, 1)
    second = AttemptRef(first.generation_id, 2)

    assert await gate.request(second) == SlotDecision(granted=True, released_provider=provider)
    assert await gate.request(second) == GRANTED
    assert await gate.grant_free(provider) == [waiting]


async def test_going_elsewhere_gives_up_the_position_in_the_line(subject: Subject, provider: str) -> None:
    other = new_id("provider")
    gate = subject.gate({provider: 1, other: 1})
    [holder] = await line(subject, gate, provider, 1)
    [there] = await line(subject, gate, other, 1)
    first = await attempt_of_a_hold(subject, with_fallback(request(provider=provider), provider=other))
    assert await gate.request(first) == WAITING
    second = AttemptRef(first.generation_id, 2)

    assert await gate.request(second) == SlotDecision(granted=False, released_provider=provider)
    await refund(subject, holder)
    assert await gate.grant_free(provider) == []
    await refund(subject, there)
    assert await gate.grant_free(other) == [second]


async def test_what_has_ended_needs_no_place(subject: Subject, gate: ProviderSlots, provider: str) -> None:
    ended = await attempt_of_a_hold(subject, request(provider=provider))
    await refund(subject, ended)
    assert await gate.request(ended) == GRANTED
    attempts = await line(subject, gate, provider, PLACES)
    assert [await gate.request(attempt) for attempt in attempts] == [GRANTED] * PLACES
