"""Whether a tenant may have one more generation or file, before anything is stored for it.

What is read is used for a second, counting what was admitted since, so that a burst costs one query. A
refusal is never from memory: what was read is read again first. With several processes a tenant may get over
its limits by what they admit in that second; what it may spend is decided when the credits are held.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from api.services.key_budgets import KeyBudgets
from domain.auth import Caller
from domain.errors import (
    FileQuotaExceeded,
    InsufficientCredits,
    KeyBudgetExceeded,
    ServiceError,
    TooManyOpenGenerations,
    TooManyWaitingGenerations,
    UnchargedCostExceeded,
)
from domain.ports import TenantUsages
from domain.tenant import TenantLimits, TenantUsage

_MAX_AGE_SECONDS = 1.0
_MAX_TENANTS = 10_000


@dataclass
class _Known:
    """A tenant's usage as it was read, and what was admitted since."""

    usage: TenantUsage
    read_at: float
    generations: int = 0
    price_credits: int = 0


@dataclass
class _Tenant:
    """known: None until the usage was read once. reading: held meanwhile, so that many ask once."""

    known: _Known | None = None
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Admission:
    """Holds the limits of every tenant, and of keys that have caps."""

    def __init__(
        self,
        usages: TenantUsages,
        defaults: TenantLimits,
        budgets: KeyBudgets,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._usages = usages
        self._defaults = defaults
        self._budgets = budgets
        self._clock = clock
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()

    async def admit_generation(self, caller: Caller, price_credits: int) -> None:
        """Count one more generation of this price.

        Raises InsufficientCredits, TooManyOpenGenerations, TooManyWaitingGenerations, UnchargedCostExceeded,
        KeyBudgetExceeded, TooManyHeldCredits.
        """
        known, refusals = await self._look(caller, price_credits)
        for refusal in refusals:
            raise refusal
        known.generations += 1
        known.price_credits += price_credits
        try:
            await self._budgets.admit(caller, price_credits)
        except BaseException:
            known.generations -= 1
            known.price_credits -= price_credits
            raise

    async def admit_batch(self, caller: Caller, price_credits: int) -> None:
        """Check that all of a batch could be paid now; counts and holds nothing, as its items do that later.

        What is a limit of how much is open makes its items wait. Raises InsufficientCredits,
        UnchargedCostExceeded, KeyBudgetExceeded.
        """
        for refusal in await self.refusals_of(caller, price_credits, from_memory=False):
            if isinstance(refusal, InsufficientCredits | UnchargedCostExceeded | KeyBudgetExceeded):
                raise refusal

    async def refusals_of(
        self, caller: Caller, price_credits: int, *, from_memory: bool = True
    ) -> Sequence[ServiceError]:
        """Return why one more generation of this price would be refused now; counts nothing.

        from_memory: Whether what was read a second ago will do.
        """
        _, refusals = await self._look(caller, price_credits, from_memory=from_memory)
        return [
            *refusals,
            *await self._budgets.refusals_of(caller, price_credits, from_memory=from_memory),
        ]

    async def admit_files(self, caller: Caller, count: int = 1) -> None:
        """Check that so many more files may be stored. Raises FileQuotaExceeded."""
        limits = self._limits(caller)
        usage = await self._usages.read_file_usage(caller.tenant_id, max_files=limits.max_files)
        if usage.files + count > limits.max_files:
            raise FileQuotaExceeded(f"at most {limits.max_files} files")
        if usage.size_bytes >= limits.max_file_bytes:
            raise FileQuotaExceeded(f"at most {limits.max_file_bytes} bytes of files")

    async def _look(
        self, caller: Caller, price_credits: int, *, from_memory: bool = True
    ) -> tuple[_Known, Sequence[ServiceError]]:
        limits, tenant = self._limits(caller), self._tenant(caller.tenant_id)
        known = tenant.known if from_memory else None
        if known is None or not self._is_fresh(known) or _refusals(known, limits, price_credits):
            known = await self._read(caller.tenant_id, tenant, limits)
        return known, _refusals(known, limits, price_credits)

    def limits_of(self, caller: Caller) -> TenantLimits:
        """Return the limits of the caller's tenant."""
        return self._limits(caller)

    def _limits(self, caller: Caller) -> TenantLimits:
        return self._defaults.with_overrides(caller.tenant_limits)

    def _is_fresh(self, known: _Known) -> bool:
        """Return whether it can be used: not once a lot has expired that it counts as available."""
        expiry = known.usage.expiry_seconds
        max_age = _MAX_AGE_SECONDS if expiry is None else min(_MAX_AGE_SECONDS, expiry)
        return self._clock() - known.read_at < max_age

    def _tenant(self, tenant_id: str) -> _Tenant:
        tenant = self._tenants.setdefault(tenant_id, _Tenant())
        self._tenants.move_to_end(tenant_id)
        if len(self._tenants) > _MAX_TENANTS:
            self._tenants.popitem(last=False)
        return tenant

    async def _read(self, tenant_id: str, tenant: _Tenant, limits: TenantLimits) -> _Known:
        before = tenant.known
        async with tenant.reading:
            if tenant.known is None or tenant.known is before:
                read_at = self._clock()
                usage = await self._usages.read_usage(tenant_id, max_generations=limits.max_open_generations)
                tenant.known = _Known(usage, read_at)
            return tenant.known


def _refusals(known: _Known, limits: TenantLimits, price_credits: int) -> list[ServiceError]:
    """Return each reason why one more generation is refused; the first is the one that a client gets."""
    usage = known.usage
    found: list[ServiceError] = []
    if usage.uncharged_credits >= limits.max_uncharged_credits:
        found.append(UnchargedCostExceeded(f"at most {limits.max_uncharged_credits} credits a day"))
    if usage.open_generations + known.generations >= limits.max_open_generations:
        found.append(TooManyOpenGenerations(f"at most {limits.max_open_generations} generations at once"))
    if usage.waiting_generations + known.generations >= limits.max_waiting_generations:
        found.append(
            TooManyWaitingGenerations(f"at most {limits.max_waiting_generations} generations may wait")
        )
    if usage.available_credits - known.price_credits < price_credits:
        found.append(InsufficientCredits(f"the price is {price_credits} credits, and fewer are available"))
    return found
