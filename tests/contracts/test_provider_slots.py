"""What every ProviderSlots promises."""

from collections.abc import Awaitable, Callable

import pytest

from domain.generation import Status, TerminalState
from domain.ports import ProviderSlots, SlotDecision
from domain.provider import AttemptRef, ProviderJob
from tests.contracts.events import attempt_of_a_hold, with_fallback
from tests.contracts.subjects import Subject
from tests.support.requests import new_id, request

SLOTS = 2
GRANTED, WAITING = SlotDecision(granted=True), SlotDecision(granted=False)
CANCELED = TerminalState(Status.CANCELED)
Release = Callable[[Subject, AttemptRef], Awaitable[None]]


@pytest.fixture
def provider() -> str:
    """Return a provider that only this test uses."""
    return new_id("provider")


@pytest.fixture
def slots(subject: Subject, provider: str) -> ProviderSlots:
    return subject.slots({provider: SLOTS})


async def queued(subject: Subject, slots: ProviderSlots, provider: str, count: int) -> list[AttemptRef]:
    """Return attempts that requested a slot, one after the other."""
    attempts = [await attempt_of_a_hold(subject, request(provider=provider)) for _ in range(count)]
    for attempt in attempts:
        await slots.request(attempt)
    return attempts


async def refund(subject: Subject, attempt: AttemptRef) -> None:
    await subject.ledger.refund(attempt.generation_id, CANCELED)


async def begin_storing(subject: Subject, attempt: AttemptRef) -> None:
    await subject.attempts.begin_submit(attempt)
    await subject.attempts.record_accepted(attempt, ProviderJob("job-1", {}))
    await subject.assets.begin_storing(attempt, None)


async def test_no_more_slots_are_granted_than_there_are(
    subject: Subject, slots: ProviderSlots, provider: str
) -> None:
    attempts = [await attempt_of_a_hold(subject, request(provider=provider)) for _ in range(SLOTS + 2)]
    for _ in range(2):  # a repeat changes nothing
        decisions = [await slots.request(attempt) for attempt in attempts]
        assert decisions == [GRANTED] * SLOTS + [WAITING] * 2
    assert await slots.grant_free(provider) == []


async def test_a_provider_without_a_limit_is_unlimited(subject: Subject, slots: ProviderSlots) -> None:
    provider = new_id("provider")
    attempts = await queued(subject, slots, provider, SLOTS + 1)
    assert [await slots.request(attempt) for attempt in attempts] == [GRANTED] * (SLOTS + 1)
    assert await slots.grant_free(provider) == []
    assert await slots.queue_position(attempts[-1].generation_id) is None


async def test_each_provider_has_its_own_queue(subject: Subject, provider: str) -> None:
    other = new_id("provider")
    slots = subject.slots({provider: 1, other: 1})
    here, there = await queued(subject, slots, provider, 2), await queued(subject, slots, other, 2)
    assert [await slots.request(attempt) for attempt in (*here, *there)] == [GRANTED, WAITING] * 2
    await refund(subject, here[0])
    assert await slots.grant_free(other) == []
    assert await slots.grant_free(provider) == [here[1]]


@pytest.mark.parametrize("release", [refund, begin_storing])
async def test_whatever_ends_the_providers_work_releases_the_slot(
    subject: Subject, slots: ProviderSlots, provider: str, release: Release
) -> None:
    attempts = await queued(subject, slots, provider, SLOTS + 2)
    await release(subject, attempts[0])
    assert await slots.grant_free(provider) == [attempts[SLOTS]]
    assert await slots.request(attempts[SLOTS]) == GRANTED
    assert await slots.request(attempts[SLOTS + 1]) == WAITING


async def test_an_ended_generation_leaves_the_queue(
    subject: Subject, slots: ProviderSlots, provider: str
) -> None:
    attempts = await queued(subject, slots, provider, SLOTS + 2)
    await refund(subject, attempts[SLOTS])
    await refund(subject, attempts[0])
    assert await slots.grant_free(provider) == [attempts[SLOTS + 1]]


async def test_a_grant_is_returned_until_its_workflow_was_notified(
    subject: Subject, slots: ProviderSlots, provider: str
) -> None:
    attempts = await queued(subject, slots, provider, SLOTS + 1)
    await refund(subject, attempts[0])
    assert await slots.grant_free(provider) == [attempts[-1]]
    assert await slots.grant_free(provider) == [], "who granted it notifies"
    await subject.books.age_grants(provider)
    for _ in range(2):
        assert await slots.grant_free(provider) == [attempts[-1]]
    await slots.mark_notified([attempts[-1]])
    assert await slots.grant_free(provider) == []
    assert await slots.request(attempts[-1]) == GRANTED


async def test_a_repeated_request_counts_as_notified(
    subject: Subject, slots: ProviderSlots, provider: str
) -> None:
    attempts = await queued(subject, slots, provider, SLOTS + 1)
    await refund(subject, attempts[0])
    assert await slots.request(attempts[-1]) == GRANTED
    assert await slots.grant_free(provider) == []


async def test_a_request_grants_slots_to_those_ahead(
    subject: Subject, slots: ProviderSlots, provider: str
) -> None:
    attempts = await queued(subject, slots, provider, SLOTS + 2)
    await refund(subject, attempts[0])
    assert await slots.request(attempts[-1]) == SlotDecision(granted=False, to_notify=(attempts[SLOTS],))
    await subject.books.age_grants(provider)
    assert await slots.grant_free(provider) == [attempts[SLOTS]], "it was not notified yet"


async def test_queue_positions(subject: Subject, slots: ProviderSlots, provider: str) -> None:
    attempts = await queued(subject, slots, provider, SLOTS + 3)
    await refund(subject, attempts[SLOTS + 1])
    positions = [await slots.queue_position(attempt.generation_id) for attempt in attempts]
    assert [position and position.ahead for position in positions] == [None] * SLOTS + [0, None, 1]


@pytest.mark.parametrize("fallback_has_a_limit", [True, False])
async def test_a_fallback_releases_the_slot(
    subject: Subject, provider: str, fallback_has_a_limit: bool
) -> None:
    other = new_id("provider")
    slots = subject.slots({provider: 1} | ({other: 1} if fallback_has_a_limit else {}))
    first = await attempt_of_a_hold(subject, with_fallback(request(provider=provider), provider=other))
    assert await slots.request(first) == GRANTED
    [waiting] = await queued(subject, slots, provider, 1)
    second = AttemptRef(first.generation_id, 2)

    assert await slots.request(second) == SlotDecision(granted=True, released_provider=provider)
    assert await slots.request(second) == GRANTED
    assert await slots.grant_free(provider) == [waiting]


async def test_a_fallback_gives_up_the_queue_position(subject: Subject, provider: str) -> None:
    other = new_id("provider")
    slots = subject.slots({provider: 1, other: 1})
    [holder] = await queued(subject, slots, provider, 1)
    [there] = await queued(subject, slots, other, 1)
    first = await attempt_of_a_hold(subject, with_fallback(request(provider=provider), provider=other))
    assert await slots.request(first) == WAITING
    second = AttemptRef(first.generation_id, 2)

    assert await slots.request(second) == SlotDecision(granted=False, released_provider=provider)
    await refund(subject, holder)
    assert await slots.grant_free(provider) == []
    await refund(subject, there)
    assert await slots.grant_free(other) == [second]


async def test_an_ended_generation_needs_no_slot(
    subject: Subject, slots: ProviderSlots, provider: str
) -> None:
    ended = await attempt_of_a_hold(subject, request(provider=provider))
    await refund(subject, ended)
    assert await slots.request(ended) == GRANTED
    attempts = await queued(subject, slots, provider, SLOTS)
    assert [await slots.request(attempt) for attempt in attempts] == [GRANTED] * SLOTS
