"""Whether one more generation or file may be accepted."""

import asyncio

import pytest

from domain.auth import Caller
from domain.errors import (
    FileQuotaExceeded,
    InsufficientCredits,
    ServiceError,
    TooManyOpenGenerations,
    TooManyWaitingGenerations,
    UnchargedCostExceeded,
)
from domain.tenant import FileUsage, TenantUsage
from tests.unit.api.services.admitting import Subject


@pytest.fixture
def subject() -> Subject:
    return Subject()


async def test_what_fits_is_admitted_and_read_once_a_second(subject: Subject) -> None:
    for _ in range(3):
        await subject.admit()
    assert subject.usages.reads == 1
    subject.now = 1.0
    await subject.admit()
    assert subject.usages.reads == 2


@pytest.mark.parametrize(
    ("usage", "price", "error"),
    [
        (TenantUsage(3, 0, 0, 0), 4, InsufficientCredits),
        (TenantUsage(0, 0, 0, 0), 1, InsufficientCredits),
        (TenantUsage(100, 5, 0, 0), 1, TooManyOpenGenerations),
        (TenantUsage(100, 3, 3, 0), 1, TooManyWaitingGenerations),
        (TenantUsage(100, 0, 0, 50), 1, UnchargedCostExceeded),
    ],
)
async def test_what_does_not_fit_is_refused(
    subject: Subject, usage: TenantUsage, price: int, error: type[ServiceError]
) -> None:
    subject.usages.usage = usage
    with pytest.raises(error):
        await subject.admit(price)


@pytest.mark.parametrize(
    ("usage", "price"), [(TenantUsage(0, 0, 0, 0), 0), (TenantUsage(4, 4, 2, 49), 4)], ids=str
)
async def test_what_just_fits_is_admitted(subject: Subject, usage: TenantUsage, price: int) -> None:
    subject.usages.usage = usage
    await subject.admit(price)


async def test_what_was_admitted_meanwhile_counts(subject: Subject) -> None:
    """The rows are written after the admission: what was read does not show them yet."""
    subject.usages.usage = TenantUsage(10, 0, 0, 0)
    for _ in range(3):
        await subject.admit(2)
    # The fourth would be one waiting too many, and is decided by a new look.
    subject.usages.usage = TenantUsage(4, 3, 3, 0)
    with pytest.raises(TooManyWaitingGenerations):
        await subject.admit(2)
    assert subject.usages.reads == 2


async def test_a_refusal_is_never_from_memory(subject: Subject) -> None:
    subject.usages.usage = TenantUsage(0, 0, 0, 0)
    with pytest.raises(InsufficientCredits):
        await subject.admit()
    subject.usages.usage = TenantUsage(10, 0, 0, 0)
    await subject.admit()


async def test_many_that_ask_at_once_read_once(subject: Subject) -> None:
    subject.usages.usage = TenantUsage(1000, 0, 0, 0)
    limits = {"max_waiting_generations": 500.0, "max_open_generations": 1000.0}
    await asyncio.gather(*(subject.admit(1, limits) for _ in range(100)))
    assert subject.usages.reads == 1
    assert subject.usages.asked_up_to == [1000]


async def test_limits_of_a_tenant_go_before_the_defaults(subject: Subject) -> None:
    subject.usages.usage = TenantUsage(1000, 7, 7, 7)
    await subject.admit(1, {"max_open_generations": 8, "max_waiting_generations": 8})
    with pytest.raises(UnchargedCostExceeded):
        await subject.admit(1, {"max_uncharged_credits": 7})


@pytest.mark.parametrize(
    ("usage", "count"), [(FileUsage(4, 0), 1), (FileUsage(2, 0), 3), (FileUsage(1, 100), 1)], ids=str
)
async def test_files_over_the_quota_are_refused(subject: Subject, usage: FileUsage, count: int) -> None:
    subject.usages.files = usage
    with pytest.raises(FileQuotaExceeded):
        await subject.admission.admit_files(Caller("ten_a", "key_a", frozenset()), count)


async def test_the_last_files_that_fit_are_admitted(subject: Subject) -> None:
    subject.usages.files = FileUsage(2, 99)
    await subject.admission.admit_files(Caller("ten_a", "key_a", frozenset()), 2)


async def test_tenants_beyond_count_take_no_memory(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.services.admission._MAX_TENANTS", 10)
    for number in range(50):
        caller = Caller(f"ten_{number}", "key", frozenset())
        await subject.admission.admit_generation(caller, 1)
    assert len(subject.admission._tenants) == 10


async def test_every_reason_is_told_and_nothing_is_counted() -> None:
    subject = Subject()
    caller = Caller("ten_a", "key_a", frozenset(), {})
    assert await subject.admission.refusals_of(caller, 1) == []
    subject.now, subject.usages.usage = 2.0, TenantUsage(3, 5, 3, 50)
    told = await subject.admission.refusals_of(caller, 4)
    assert [type(error) for error in told] == [
        UnchargedCostExceeded,
        TooManyOpenGenerations,
        TooManyWaitingGenerations,
        InsufficientCredits,
    ]
    # Had it been counted, what is known would refuse, and be read again.
    subject.now, subject.usages.usage, subject.usages.reads = 4.0, TenantUsage(1000, 0, 0, 0), 0
    for _ in range(10):
        assert await subject.admission.refusals_of(caller, 1) == []
    assert subject.usages.reads == 1
