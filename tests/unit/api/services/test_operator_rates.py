"""Each operator's key has an allowance of its own, and all have the same."""

import pytest

from api.services.operator_rates import OperatorRateLimiter
from domain.errors import RateLimited
from domain.operators import Operator
from domain.tenant import Rate

FIRST, SECOND = Operator("1", frozenset()), Operator("2", frozenset())


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_that_sends_too_much_waits_and_no_other_does() -> None:
    clock = Clock()
    limiter = OperatorRateLimiter(Rate(per_second=2.0, burst=3), clock)
    for _ in range(3):
        limiter.take(FIRST)

    with pytest.raises(RateLimited) as refused:
        limiter.take(FIRST)
    assert refused.value.retry_after_seconds == 0.5
    limiter.take(SECOND)

    clock.now += 0.5
    limiter.take(FIRST)
    with pytest.raises(RateLimited):
        limiter.take(FIRST)


def test_what_is_left_is_told() -> None:
    limiter = OperatorRateLimiter(Rate(per_second=2.0, burst=4), Clock())
    limiter.take(FIRST)
    left = limiter.allowance(FIRST)
    assert (left.policy, left.quota, left.window_seconds) == ("operator", 4, 2)
    assert (left.remaining, left.reset_seconds) == (3, 1)
    assert limiter.allowance(SECOND).remaining == 4
