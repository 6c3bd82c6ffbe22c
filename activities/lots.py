"""What becomes of lots by time alone: those that expired are taken away, those that begin are noticed."""

import time
from collections import Counter

from domain.ports.lots import Lots

_BATCH = 200
# Of one run of the reconciler; what is left is swept in the next ones. It cannot be spent meanwhile.
_PART_SECONDS = 10.0


class LotSweeper:
    """Sweeps in batches, as long as they are full and the time is not over."""

    def __init__(self, lots: Lots) -> None:
        self._lots = lots

    async def sweep(self) -> Counter[str]:
        """Return how many lots were swept."""
        done: Counter[str] = Counter()
        end = time.monotonic() + _PART_SECONDS
        while True:
            swept = await self._lots.expire_due(_BATCH)
            done["lots_swept"] += swept
            # Of both kinds at most a batch: less than one says that of neither more is due.
            if swept < _BATCH or time.monotonic() > end:
                return done
