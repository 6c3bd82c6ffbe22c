"""API keys, checked so that guessing costs the database little and locks nobody out."""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

from starlette.exceptions import HTTPException

from api import metrics
from api.http.client import RequestClient
from api.services.tenant_limits import TenantConcurrencyLimiter
from domain.errors import DatabaseUnavailable, ServiceError, TooManyFailedKeys, Unauthenticated
from domain.ports import Authenticator

# Bounds of memory: some megabytes, whatever is sent.
_MAX_REMEMBERED = 20_000
_REFUSED_SECONDS = 5.0
_GENUINE_SECONDS = 600.0
# A burst waits for its own turns, and not for the database's connections, where others would wait behind it.
_MAX_QUESTIONS_PER_KEY = 4
_WAIT_SECONDS = 120.0
# Until it is known whose key it is. A burst of 2,000 requests of a key that is not yet remembered passes.
_FIRST_ASK_SECONDS = 5.0
_MAX_FIRST_WAITERS = 2_500

Value = TypeVar("Value")


class KeyOwner(Protocol):
    """Whom a key identifies. party: whose requests count together, a tenant's or an operator's."""

    @property
    def party(self) -> str: ...


Who = TypeVar("Who", bound=KeyOwner)


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


@dataclass
class _FirstAsk(Generic[Who]):
    """A question about a key that is not remembered, with those who wait for its answer.

    answer: an error is a value here, as it is raised to each of them.
    """

    answer: asyncio.Task[Who | ServiceError]
    waiters: int = 0


class KeyGuard(Generic[Who]):
    """Asks the authenticator, except for keys that it refused just now and addresses that failed too often.

    A key that was genuine in the last ten minutes is asked for from any address, however many wrong keys come
    from there. Of genuine keys only that is remembered, and whose they are, so that a request counts for its
    owner while it waits to ask. Each request asks, so a revocation holds at once.
    """

    def __init__(
        self,
        authenticator: Authenticator[Who],
        *,
        failures_per_minute: int,
        max_remembered: int = _MAX_REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authenticator = authenticator
        self._per_minute = failures_per_minute
        self._clock = clock
        # Keys by their hash: when they were refused; when they were last genuine, and whose they are.
        self._refused: _Recent[float] = _Recent(max_remembered)
        self._genuine: _Recent[tuple[float, str]] = _Recent(max_remembered)
        self._allowances: _Recent[_Allowance] = _Recent(max_remembered)
        self._turns = TenantConcurrencyLimiter(_MAX_QUESTIONS_PER_KEY, _WAIT_SECONDS)
        # By key and client, as each client has its own allowance.
        self._first_asks: dict[tuple[bytes, str], _FirstAsk[Who]] = {}

    async def identify_caller(self, api_key: str, client: RequestClient) -> Who:
        """Return the key's caller. client: who sent it, for the limit of failures.

        Raises Unauthenticated, TooManyFailedKeys, DatabaseUnavailable, HTTPException 429, HTTPException 408
        if the client goes while the request waits for its turn.
        """
        digest = hashlib.sha256(api_key.encode(errors="replace")).digest()
        if self._party_of(digest) is None:
            caller = await self._ask_first(api_key, digest, client.group)
            if caller is not None:
                return caller
        party = self._party_of(digest)
        if party is not None:
            client.mark_recognized(party)
        return await self._ask(api_key, digest, client)

    async def _ask_first(self, api_key: str, digest: bytes, group: str) -> Who | None:
        """Ask one question for all requests that bring a new key at the same time.

        Return the caller to the first of them; None to the others, who have to ask again, as the key may
        have been revoked when they came. All get the same failure at the same time.
        """
        key = (digest, group)
        ask, is_first = self._first_asks.get(key), False
        if ask is None:
            is_first = True
            ask = _FirstAsk(asyncio.create_task(self._ask_in_time(api_key, digest, group)))
            self._first_asks[key] = ask
            ask.answer.add_done_callback(lambda _: self._first_asks.pop(key))
        if ask.waiters >= _MAX_FIRST_WAITERS:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"})
        ask.waiters += 1
        answer = await asyncio.shield(ask.answer)
        if isinstance(answer, ServiceError):
            raise answer.with_traceback(None)
        return answer if is_first else None

    async def _ask_in_time(self, api_key: str, digest: bytes, group: str) -> Who | ServiceError:
        try:
            async with asyncio.timeout(_FIRST_ASK_SECONDS):
                return await self._ask_within_allowance(api_key, digest, group)
        except ServiceError as error:
            return error
        except TimeoutError:
            return DatabaseUnavailable()

    async def _ask_within_allowance(self, api_key: str, digest: bytes, client: str) -> Who:
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

    async def _ask(self, api_key: str, digest: bytes, client: RequestClient | None = None) -> Who:
        waiting = client.waiting() if client is not None else None
        try:
            async with self._turns.limit(digest.hex(), waiting):
                caller = await self._authenticator.authenticate(api_key)
        except Unauthenticated:
            # Revoked, if it was genuine: from now on it is a wrong key like any other.
            self._genuine.drop(digest)
            self._refused.put(digest, self._clock())
            metrics.failed_keys.labels("asked").inc()
            raise
        self._genuine.put(digest, (self._clock(), caller.party))
        return caller

    def _party_of(self, digest: bytes) -> str | None:
        """Return whose key it was, if it was genuine not long ago."""
        at, party = self._genuine.get(digest) or (-math.inf, "")
        return party if self._clock() - at < _GENUINE_SECONDS else None

    def _allowance(self, client: str) -> _Allowance:
        key, now = client.encode(), self._clock()
        allowance = self._allowances.get(key) or _Allowance(self._per_minute, now)
        grown = allowance.left + (now - allowance.at) * self._per_minute / 60
        allowance.left, allowance.at = min(float(self._per_minute), grown), now
        self._allowances.put(key, allowance)
        return allowance
