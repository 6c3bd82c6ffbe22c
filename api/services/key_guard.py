"""API keys, checked so that guessing costs the database little and locks nobody out."""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from api import metrics
from api.services.tenant_limits import TenantConcurrencyLimiter
from domain.auth import Caller
from domain.errors import TooManyFailedKeys, Unauthenticated
from domain.ports import Authenticator

# Bounds of memory: some megabytes, whatever is sent.
_MAX_REMEMBERED = 20_000
_REFUSED_SECONDS = 5.0
_GENUINE_SECONDS = 600.0
# A burst waits for its own turns, and not for the database's connections, where others would wait behind it.
_MAX_QUESTIONS_PER_KEY = 4
_WAIT_SECONDS = 120.0

Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """Values by key; beyond the maximum the one that was not used for longest is forgotten."""

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: OrderedDict[bytes, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: bytes) -> Value | None:
        return self._items.get(key)

    def drop(self, key: bytes) -> None:
        self._items.pop(key, None)

    def put(self, key: bytes, value: Value) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._max_items:
            self._items.popitem(last=False)


@dataclass
class _Allowance:
    """What is left of an address's failures; it grows with time."""

    left: float
    at: float


class KeyGuard:
    """Asks the authenticator, except for keys that it refused just now and addresses that failed too often.

    A key that was genuine in the last ten minutes is asked for from any address, however many wrong keys come
    from there. Nothing else is remembered of genuine keys: each request asks, so a revocation holds at once.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        failures_per_minute: int,
        max_remembered: int = _MAX_REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authenticator = authenticator
        self._per_minute = failures_per_minute
        self._clock = clock
        # Keys by their hash: when they were refused, and when they were last genuine.
        self._refused: _Recent[float] = _Recent(max_remembered)
        self._genuine: _Recent[float] = _Recent(max_remembered)
        self._allowances: _Recent[_Allowance] = _Recent(max_remembered)
        self._turns = TenantConcurrencyLimiter(_MAX_QUESTIONS_PER_KEY, _WAIT_SECONDS)
        # A lock lives while a request waits for it.
        self._first_asks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def identify_caller(self, api_key: str, client: str) -> Caller:
        """Return the key's caller. client: who sent it, for the limit of failures.

        Raises Unauthenticated, TooManyFailedKeys, DatabaseUnavailable, HTTPException 429.
        """
        digest = hashlib.sha256(api_key.encode(errors="replace")).digest()
        # One question for all requests that bring a new key at the same time.
        async with self._first_asks.setdefault(digest, asyncio.Lock()):
            if not self._is_genuine(digest):
                return await self._ask_within_allowance(api_key, digest, client)
        return await self._ask(api_key, digest)

    async def _ask_within_allowance(self, api_key: str, digest: bytes, client: str) -> Caller:
        refused_at = self._refused.get(digest)
        if refused_at is not None and self._clock() - refused_at < _REFUSED_SECONDS:
            metrics.failed_keys.labels("remembered").inc()
            raise Unauthenticated
        allowance = self._allowance(client)
        if allowance.left < 1:
            metrics.failed_keys.labels("limited").inc()
            seconds = math.ceil((1 - allowance.left) * 60 / self._per_minute)
            raise TooManyFailedKeys(retry_after_seconds=seconds)
        # Taken before the question, or all that ask at the same time would pass.
        allowance.left -= 1
        try:
            caller = await self._ask(api_key, digest)
        except Unauthenticated:
            raise
        except BaseException:
            allowance.left += 1
            raise
        allowance.left += 1
        return caller

    async def _ask(self, api_key: str, digest: bytes) -> Caller:
        try:
            async with self._turns.limit(digest.hex()):
                caller = await self._authenticator.authenticate(api_key)
        except Unauthenticated:
            # Revoked, if it was genuine: from now on it is a wrong key like any other.
            self._genuine.drop(digest)
            self._refused.put(digest, self._clock())
            metrics.failed_keys.labels("asked").inc()
            raise
        self._genuine.put(digest, self._clock())
        return caller

    def _is_genuine(self, digest: bytes) -> bool:
        at = self._genuine.get(digest)
        return at is not None and self._clock() - at < _GENUINE_SECONDS

    def _allowance(self, client: str) -> _Allowance:
        key, now = client.encode(), self._clock()
        allowance = self._allowances.get(key) or _Allowance(self._per_minute, now)
        grown = allowance.left + (now - allowance.at) * self._per_minute / 60
        allowance.left, allowance.at = min(float(self._per_minute), grown), now
        self._allowances.put(key, allowance)
        return allowance
