"""What the reconciler erases: what was kept as long as it may be, and tenants that are to go."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from temporalio import activity

from domain.ports import Erasure
from domain.retention import DataKind, Retention

_BATCH = 200
_EVENT_BATCH = 5000
_MAX_TENANTS = 10_000
# Of one run; what is left is erased in the next ones.
_PART_SECONDS = 10.0


class Eraser:
    """Erases in batches, as long as they are full and the part's time is not over.

    One that fails hides no other, and each run begins with another tenant, so that none waits for ever.
    """

    def __init__(self, erasure: Erasure, retention: Retention) -> None:
        self._erasure = erasure
        self._retention = retention
        self._runs = 0

    async def erase_old(self) -> Counter[str]:
        """Erase what is kept too long, of each kind by itself, and delete old events."""
        done = await self._each(
            {
                f"{kind}_erased": partial(self._erasure.erase_due, kind, self._retention, _BATCH)
                for kind in DataKind
            }
        )
        purge = partial(self._erasure.purge_events, self._retention, _EVENT_BATCH)
        return done + await self._each({"events_purged": purge}, _EVENT_BATCH)

    async def erase_expired_images(self) -> Counter[str]:
        """Erase images whose clients gave them a shorter life."""
        expired = partial(self._erasure.erase_expired_images, _BATCH)
        return await self._each({"expired_images_erased": expired})

    async def erase_tenants(self) -> Counter[str]:
        """Erase what is left of tenants whose erasure was requested."""
        tenants = await self._erasure.list_tenants_to_erase(_MAX_TENANTS)
        self._runs += 1
        first = self._runs % len(tenants) if tenants else 0
        done = await self._each(
            {
                tenant_id: partial(self._erasure.erase_tenant_batch, tenant_id, _BATCH)
                for tenant_id in (*tenants[first:], *tenants[:first])
            }
        )
        deferred = done.pop("deferred", 0)
        return Counter({"tenant_generations_erased": done.total(), "deferred": deferred})

    async def _each(
        self, batches: Mapping[str, Callable[[], Awaitable[int]]], batch: int = _BATCH
    ) -> Counter[str]:
        done: Counter[str] = Counter()
        end = time.monotonic() + _PART_SECONDS
        for name, erase in batches.items():
            try:
                done[name] += await _in_batches(erase, end, batch)
            except Exception:  # noqa: BLE001 - whatever it is, the others must not wait for it
                activity.logger.exception("could not erase: %s", name)
                done["deferred"] += 1
            if time.monotonic() > end:
                break
        return done


async def _in_batches(erase: Callable[[], Awaitable[int]], end: float, batch: int) -> int:
    total = 0
    while True:
        count = await erase()
        total += count
        if count < batch or time.monotonic() > end:
            return total
