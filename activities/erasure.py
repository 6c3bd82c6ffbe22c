"""What the reconciler erases: what was kept as long as it may be, and tenants that are to go."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable

from domain.ports import Erasure
from domain.retention import DataKind, Retention

_BATCH = 200
_MAX_TENANTS = 100
# Of one run; what is left is erased in the next ones.
_PART_SECONDS = 10.0


class Eraser:
    """Erases in batches, as long as they are full and there is time."""

    def __init__(self, erasure: Erasure, retention: Retention) -> None:
        self._erasure = erasure
        self._retention = retention

    async def erase_old(self) -> Counter[str]:
        """Erase what is kept too long, of each kind by itself."""
        done: Counter[str] = Counter()
        for kind in DataKind:

            async def erase_batch(kind: DataKind = kind) -> int:
                return await self._erasure.erase_due(kind, self._retention, _BATCH)

            done[f"{kind}_erased"] += await _in_batches(erase_batch)
        return done

    async def erase_tenants(self) -> Counter[str]:
        """Erase what is left of tenants whose erasure was requested."""
        done: Counter[str] = Counter()
        for tenant_id in await self._erasure.list_tenants_to_erase(_MAX_TENANTS):

            async def erase_batch(tenant_id: str = tenant_id) -> int:
                return await self._erasure.erase_tenant_batch(tenant_id, _BATCH)

            done["tenant_generations_erased"] += await _in_batches(erase_batch)
        return done


async def _in_batches(erase: Callable[[], Awaitable[int]]) -> int:
    total, end = 0, time.monotonic() + _PART_SECONDS
    while True:
        count = await erase()
        total += count
        if count < _BATCH or time.monotonic() > end:
            return total
