"""What the caps of a key leave for one more generation, and for how long what was read is true."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from domain.auth import Caller
from domain.errors import KeyBudgetExceeded, ServiceError, TooManyHeldCredits, TooManyWaitingGenerations
from domain.key_budgets import KeyBudget, KeyUsage
from domain.tenant import TenantUsage
from tests.unit.api.services.admitting import Subject, key_usage


@pytest.fixture
def subject() -> Subject:
    return Subject()


def caller_with(budget: int | None = None, held: int | None = None) -> Caller:
    return Caller("ten_a", "key_a", frozenset(), {}, {}, budget, held)


async def test_a_key_without_a_cap_costs_nothing(subject: Subject) -> None:
    await subject.admit()
    assert await subject.budgets.budget(caller_with()) is None
    assert subject.keys.reads == 0


@pytest.mark.parametrize(
    ("usage", "caps", "price", "error"),
    [
        (key_usage(charged=8), {"budget": 10}, 3, KeyBudgetExceeded),
        (key_usage(held=8), {"budget": 10}, 3, KeyBudgetExceeded),
        (key_usage(accepted=8), {"budget": 10}, 3, KeyBudgetExceeded),
        (key_usage(), {"budget": 0}, 1, KeyBudgetExceeded),
        (key_usage(all_held=8), {"held": 10}, 3, TooManyHeldCredits),
        (key_usage(accepted=8), {"held": 10}, 3, TooManyHeldCredits),
        (key_usage(held=8), {"held": 10}, 3, TooManyHeldCredits),
    ],
)
async def test_what_a_cap_does_not_cover_is_refused(
    subject: Subject, usage: KeyUsage, caps: dict[str, int], price: int, error: type[ServiceError]
) -> None:
    subject.keys.usage = usage
    with pytest.raises(error):
        await subject.admit(price, caller=caller_with(**caps))


@pytest.mark.parametrize(
    ("usage", "caps", "price"),
    [
        (key_usage(charged=4, held=2, accepted=1), {"budget": 10}, 3),
        (key_usage(all_held=6, accepted=1), {"held": 10}, 3),
        # Holds of the month before count against the one cap, and charges against the other.
        (key_usage(all_held=10), {"budget": 10}, 10),
        (key_usage(charged=10), {"held": 10}, 10),
        (key_usage(charged=10), {"budget": 10}, 0),
    ],
)
async def test_what_just_fits_is_admitted(
    subject: Subject, usage: KeyUsage, caps: dict[str, int], price: int
) -> None:
    subject.keys.usage = usage
    await subject.admit(price, caller=caller_with(**caps))


async def test_what_was_admitted_meanwhile_counts_for_its_key(subject: Subject) -> None:
    one, other = caller_with(3), Caller("ten_a", "key_b", frozenset(), {}, {}, 3)
    await subject.admit(2, caller=one)
    await subject.admit(2, caller=other)
    assert (await subject.budgets.budget(one)) == KeyBudget(3, 1, 3600, None, 2)
    reads = subject.keys.reads
    subject.keys.usage = key_usage(held=2)
    with pytest.raises(KeyBudgetExceeded):
        await subject.admit(2, caller=one)
    assert subject.keys.reads == reads + 1, "a refusal is never from memory"


async def test_many_at_once_of_one_key_never_exceed_what_was_read(subject: Subject) -> None:
    """Where a read shows what was admitted before it, as of one process whose rows are written at once."""
    wide = {"max_waiting_generations": 50.0, "max_open_generations": 50.0}
    caller, accepted = replace(caller_with(3), tenant_limits=wide), 0

    async def post() -> None:
        nonlocal accepted
        try:
            await subject.admit(1, caller=caller)
        except KeyBudgetExceeded:
            return
        accepted += 1
        subject.keys.usage = key_usage(accepted=accepted)

    await asyncio.gather(*(post() for _ in range(20)))
    assert accepted == 3


async def test_what_a_key_refuses_counts_for_no_tenant(subject: Subject) -> None:
    subject.usages.usage = TenantUsage(2, 0, 0, 0)
    for _ in range(5):
        with pytest.raises(KeyBudgetExceeded):
            await subject.admit(2, caller=caller_with(1))
    reads = subject.usages.reads
    await subject.admit(2)
    assert subject.usages.reads == reads


@pytest.mark.parametrize(
    "shorten",
    [
        lambda subject: setattr(subject.usages, "usage", TenantUsage(1000, 0, 0, 0, 0.3)),
        lambda subject: setattr(subject.keys, "usage", key_usage(month_left_seconds=0.3)),
    ],
    ids=["a lot expires", "the month ends"],
)
async def test_what_was_read_is_not_used_beyond_its_time(
    subject: Subject, shorten: Callable[[Subject], None]
) -> None:
    shorten(subject)
    caller = caller_with(10)
    await subject.admit(caller=caller)
    subject.now = 0.29
    await subject.admit(caller=caller)
    assert (subject.usages.reads, subject.keys.reads) == (1, 1)
    subject.now = 0.3
    await subject.admit(caller=caller)
    assert subject.usages.reads + subject.keys.reads == 3


async def test_every_reason_is_told(subject: Subject) -> None:
    subject.usages.usage = TenantUsage(1000, 3, 3, 0)
    subject.keys.usage = key_usage(charged=5, all_held=5)
    told = await subject.admission.refusals_of(caller_with(6, 6), 2)
    assert [type(error) for error in told] == [
        TooManyWaitingGenerations,
        KeyBudgetExceeded,
        TooManyHeldCredits,
    ]
    assert "2 credits" in str(told[1])
    assert "1 are left" in str(told[1])
