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
class _Bucket:
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

    policy: RatePolicy
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int


class RateLimiter:
    """Takes requests from the allowances of a tenant and, where it has its own, of a key."""

    def __init__(self, defaults: TenantLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._defaults = defaults
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, RatePolicy], _Bucket] = OrderedDict()

    def take(self, caller: Caller, policy: RatePolicy) -> None:
        """Take one request. Raises RateLimited, and then takes nothing."""
        buckets = [(bucket, rate) for bucket, rate in self._each(caller, policy)]
        waits = [(1 - bucket.tokens) / rate.per_second for bucket, rate in buckets if bucket.tokens < 1]
        if waits:
            raise RateLimited(retry_after_seconds=max(waits))
        for bucket, _ in buckets:
            bucket.tokens -= 1

    def allowance(self, caller: Caller, policy: RatePolicy) -> Allowance:
        """Return what is left of the narrower of the two."""
        bucket, rate = min(self._each(caller, policy), key=_scarcity)
        missing = 1 - bucket.tokens if bucket.tokens < 1 else rate.burst - bucket.tokens
        return Allowance(
            policy,
            rate.burst,
            math.ceil(rate.window_seconds),
            math.floor(bucket.tokens),
            math.ceil(missing / rate.per_second),
        )

    def _each(self, caller: Caller, policy: RatePolicy) -> list[tuple[_Bucket, Rate]]:
        limits = self._defaults.with_overrides(caller.tenant_limits)
        found = [self._bucket(caller.tenant_id, policy, limits.rate(policy))]
        if caller.key_limits:
            own = limits.with_overrides(caller.key_limits)
            found.append(self._bucket(caller.key_id, policy, own.rate(policy)))
        return found

    def _bucket(self, owner: str, policy: RatePolicy, rate: Rate) -> tuple[_Bucket, Rate]:
        now = self._clock()
        bucket = self._buckets.pop((owner, policy), None) or _Bucket(rate.burst, now)
        bucket.refill(rate, now)
        self._buckets[owner, policy] = bucket
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket, rate


def _scarcity(each: tuple[_Bucket, Rate]) -> tuple[float, float]:
    """Order allowances: those that are used up first, by how long they stay so; then by what is left."""
    bucket, rate = each
    return -max(0.0, (1 - bucket.tokens) / rate.per_second), bucket.tokens
