"""How many requests one operator's key may send, in each process of the API."""

import time
from collections.abc import Callable

from api.services.rate_limiter import Allowance, Buckets, allowance_of, take_from
from domain.operators import Operator
from domain.tenant import Rate

_POLICY = "operator"


class OperatorRateLimiter:
    """Takes requests from the allowance of a key; each key has the same."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._buckets = Buckets(clock)

    def take(self, operator: Operator) -> None:
        """Take one request. Raises RateLimited, and then takes nothing."""
        take_from(self._buckets.refilled(operator.key_id, _POLICY, self._rate))

    def allowance(self, operator: Operator) -> Allowance:
        """Return what is left of it."""
        return allowance_of(_POLICY, *self._buckets.refilled(operator.key_id, _POLICY, self._rate))
