"""Token buckets by tenant, kind of request and key."""

from dataclasses import replace
from typing import Any

import pytest

from api.services.rate_limiter import Allowance, RateLimiter
from domain.auth import Caller
from domain.errors import RateLimited
from domain.tenant import RatePolicy, TenantLimits

CREATE, READ, CANCEL = RatePolicy.CREATE, RatePolicy.READ, RatePolicy.CANCEL
LIMITS = TenantLimits(creates_per_second=2.0, create_burst=4, read_burst=4, cancel_burst=4)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(LIMITS, clock)


def caller(tenant: str = "ten_a", key: str = "key_a", **limits: Any) -> Caller:
    return replace(Caller(tenant, key, frozenset()), **limits)


def taken(limiter: RateLimiter, who: Caller, policy: RatePolicy = CREATE) -> int:
    """Take until nothing is left; return how many there were."""
    for count in range(100):
        try:
            limiter.take(who, policy)
        except RateLimited:
            return count
    raise AssertionError("no limit")


def test_a_burst_and_then_the_rate(limiter: RateLimiter, clock: Clock) -> None:
    assert taken(limiter, caller()) == 4
    with pytest.raises(RateLimited) as caught:
        limiter.take(caller(), CREATE)
    assert caught.value.retry_after_seconds == pytest.approx(0.5)
    clock.now += 0.4
    assert taken(limiter, caller()) == 0
    clock.now += 0.1
    assert taken(limiter, caller()) == 1
    clock.now += 1000
    assert taken(limiter, caller()) == 4


def test_tenants_and_kinds_of_requests_have_their_own(limiter: RateLimiter) -> None:
    assert taken(limiter, caller()) == 4
    assert taken(limiter, caller(key="key_b")) == 0, "another key of the same tenant"
    assert taken(limiter, caller(), READ) == 4
    assert taken(limiter, caller(), CANCEL) == 4
    assert taken(limiter, caller("ten_b")) == 4


def test_a_tenant_may_have_its_own_limits(limiter: RateLimiter) -> None:
    assert taken(limiter, caller(tenant_limits={"create_burst": 7})) == 7


def test_a_key_has_its_own_inside_those_of_its_tenant(limiter: RateLimiter) -> None:
    narrow = caller(key="key_narrow", key_limits={"create_burst": 3})
    assert taken(limiter, narrow) == 3
    assert limiter.allowance(narrow, CREATE).remaining == 0
    assert taken(limiter, caller()) == 1, "what the other key has left"
    wide = caller("ten_b", "key_wide", key_limits={"create_burst": 50})
    assert taken(limiter, wide) == 4


def test_a_refused_request_takes_nothing(limiter: RateLimiter) -> None:
    narrow = caller(key="key_narrow", key_limits={"create_burst": 1})
    assert taken(limiter, narrow) == 1
    assert taken(limiter, narrow) == 0
    assert limiter.allowance(caller(), CREATE).remaining == 3


def test_the_allowance_says_what_is_left(limiter: RateLimiter, clock: Clock) -> None:
    assert limiter.allowance(caller(), CREATE) == Allowance(CREATE, 4, 2, 4, 0)
    limiter.take(caller(), CREATE)
    assert limiter.allowance(caller(), CREATE) == Allowance(CREATE, 4, 2, 3, 1)
    taken(limiter, caller())
    assert limiter.allowance(caller(), CREATE) == Allowance(CREATE, 4, 2, 0, 1)
    clock.now += 0.25
    assert limiter.allowance(caller(), CREATE).remaining == 0


def test_a_clock_that_stands_still_gives_nothing_away(limiter: RateLimiter, clock: Clock) -> None:
    taken(limiter, caller())
    clock.now -= 5
    assert taken(limiter, caller()) == 0
    clock.now += 5
    assert taken(limiter, caller()) == 0


def test_tenants_beyond_count_take_no_memory(limiter: RateLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.services.rate_limiter._MAX_BUCKETS", 10)
    for number in range(100):
        limiter.take(caller(f"ten_{number}"), CREATE)
    assert len(limiter._buckets) == 10
