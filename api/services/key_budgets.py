"""What the caps of an API key leave for one more generation, before anything is stored for it.

As for a tenant (api/services/admission.py): what is read is used for a second, counting what was admitted
since, and a refusal is never from memory. A key without a cap costs nothing. What a key may spend is decided
when the credits are held.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.auth import Caller
from domain.errors import ServiceError
from domain.key_budgets import KeyBudget, KeyUsage, budget_of, refusals_of
from domain.ports import KeyUsages

_MAX_AGE_SECONDS = 1.0
_MAX_KEYS = 10_000


@dataclass
class _Known:
    """A key's usage as it was read, and the prices of what was admitted since."""

    usage: KeyUsage
    read_at: float
    admitted_credits: int = 0


@dataclass
class _Key:
    """known: None until the usage was read once. reading: held meanwhile, so that many ask once."""

    known: _Known | None = None
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeyBudgets:
    """Holds the caps of keys."""

    def __init__(self, usages: KeyUsages, clock: Callable[[], float] = time.monotonic) -> None:
        self._usages = usages
        self._clock = clock
        self._keys: OrderedDict[str, _Key] = OrderedDict()

    async def admit(self, caller: Caller, price_credits: int) -> None:
        """Count one more generation of this price. Raises KeyBudgetExceeded, TooManyHeldCredits."""
        if not caller.has_caps:
            return
        known, refusals = await self._look(caller, price_credits)
        for refusal in refusals:
            raise refusal
        known.admitted_credits += price_credits

    async def refusals_of(
        self, caller: Caller, price_credits: int, *, from_memory: bool = True
    ) -> Sequence[ServiceError]:
        """Return why one more generation of this price would be refused now; counts nothing."""
        if not caller.has_caps:
            return ()
        _, refusals = await self._look(caller, price_credits, from_memory=from_memory)
        return refusals

    async def budget(self, caller: Caller) -> KeyBudget | None:
        """Return what is left of the key's caps; None for a key without. Raises DatabaseUnavailable."""
        if not caller.has_caps:
            return None
        key = self._key(caller.key_id)
        known = key.known
        if known is None or not self._is_fresh(known):
            known = await self._read(caller, key)
        return self._budget(caller, known)

    async def _look(
        self, caller: Caller, price_credits: int, *, from_memory: bool = True
    ) -> tuple[_Known, Sequence[ServiceError]]:
        key = self._key(caller.key_id)
        known = key.known if from_memory else None
        if known is None or not self._is_fresh(known) or self._refusals(caller, known, price_credits):
            known = await self._read(caller, key)
        return known, self._refusals(caller, known, price_credits)

    def _refusals(self, caller: Caller, known: _Known, price_credits: int) -> Sequence[ServiceError]:
        return list(refusals_of(caller, self._budget(caller, known), price_credits))

    def _budget(self, caller: Caller, known: _Known) -> KeyBudget:
        age = self._clock() - known.read_at
        return budget_of(caller, known.usage, known.admitted_credits, age)

    def _is_fresh(self, known: _Known) -> bool:
        """Return whether it can be used: in another month nothing of it counts."""
        return self._clock() - known.read_at < min(_MAX_AGE_SECONDS, known.usage.month_left_seconds)

    def _key(self, key_id: str) -> _Key:
        key = self._keys.setdefault(key_id, _Key())
        self._keys.move_to_end(key_id)
        if len(self._keys) > _MAX_KEYS:
            self._keys.popitem(last=False)
        return key

    async def _read(self, caller: Caller, key: _Key) -> _Known:
        before = key.known
        async with key.reading:
            if key.known is None or key.known is before:
                read_at = self._clock()
                usage = await self._usages.read_key_usage(caller.tenant_id, caller.key_id)
                key.known = _Known(usage, read_at)
            return key.known
