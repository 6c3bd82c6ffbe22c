"""How many requests a tenant, and one of its keys, may send: a token bucket for each kind of request.

In memory, so each process of the API grants the whole allowance: with several of them, set the limits to a
share.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from domain.auth import Caller
from domain.errors import RateLimited
from domain.tenant import Rate, RatePolicy, TenantLimits

# A bucket that is forgotten is full again; those not used for longest go first.
_MAX_BUCKETS = 50_000


@dataclass
class Bucket:
    """An allowance: the requests that are left of it. at: when that was so."""

    tokens: float
    at: float

    def refill(self, rate: Rate, now: float) -> None:
        self.tokens = min(rate.burst, self.tokens + (now - self.at) * rate.per_second)
        self.at = now


@dataclass(frozen=True)
class Allowance:
    """What is left of an allowance, as the header fields RateLimit and RateLimit-Policy tell it.

    Attributes:
        quota: Requests of a full allowance, which takes `window_seconds` to fill.
        remaining: Requests that may be sent now.
        reset_seconds: Until it is full again, or, if nothing is left, until the next request.
    """

    policy: str
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int


def allowance_of(policy: str, bucket: Bucket, rate: Rate) -> Allowance:
    """Return what is left of a bucket."""
    missing = 1 - bucket.tokens if bucket.tokens < 1 else rate.burst - bucket.tokens
    return Allowance(
        policy,
        rate.burst,
        math.ceil(rate.window_seconds),
        math.floor(bucket.tokens),
        math.ceil(missing / rate.per_second),
    )


def take_from(*buckets: tuple[Bucket, Rate]) -> None:
    """Take one request from all of them. Raises RateLimited, and then takes nothing."""
    waits = [(1 - bucket.tokens) / rate.per_second for bucket, rate in buckets if bucket.tokens < 1]
    if waits:
        raise RateLimited(retry_after_seconds=max(waits))
    for bucket, _ in buckets:
        bucket.tokens -= 1


class Buckets:
    """Buckets by owner and policy, of which the ones not used for longest are forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def refilled(self, owner: str, policy: str, rate: Rate) -> tuple[Bucket, Rate]:
        """Return an owner's bucket with what it has by now, and the rate."""
        now = self._clock()
        bucket = self._buckets.pop((owner, policy), None) or Bucket(rate.burst, now)
        bucket.refill(rate, now)
        self._buckets[owner, policy] = bucket
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket, rate


class RateLimiter:
    """Takes requests from the allowances of a tenant and, where it has its own, of a key."""

    def __init__(self, defaults: TenantLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._defaults = defaults
        self._buckets = Buckets(clock)

    def take(self, caller: Caller, policy: RatePolicy) -> None:
        """Take one request. Raises RateLimited, and then takes nothing."""
        take_from(*self._each(caller, policy))

    def allowance(self, caller: Caller, policy: RatePolicy) -> Allowance:
        """Return what is left of the narrower of the two."""
        bucket, rate = min(self._each(caller, policy), key=_scarcity)
        return allowance_of(policy, bucket, rate)

    def _each(self, caller: Caller, policy: RatePolicy) -> list[tuple[Bucket, Rate]]:
        limits = self._defaults.with_overrides(caller.tenant_limits)
        found = [self._buckets.refilled(caller.tenant_id, policy, limits.rate(policy))]
        if caller.key_limits:
            own = limits.with_overrides(caller.key_limits)
            found.append(self._buckets.refilled(caller.key_id, policy, own.rate(policy)))
        return found


def _scarcity(each: tuple[Bucket, Rate]) -> tuple[float, float]:
    """Order allowances: those that are used up first, by how long they stay so; then by what is left."""
    bucket, rate = each
    return -max(0.0, (1 - bucket.tokens) / rate.per_second), bucket.tokens
