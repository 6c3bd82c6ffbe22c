"""Who may send now: a few requests at once to each receiver and of each tenant, and rests of receivers.

Nobody waits for a turn here: what has none gives its place in the worker back, and its workflow waits.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_RESTS = 10_000


class EndpointTurns:
    """Turns of this process. Belongs to one event loop.

    max_of_receiver, max_of_tenant: requests at once. refused: how many had no turn.
    """

    def __init__(self, *, max_of_receiver: int = 10, max_of_tenant: int = 30) -> None:
        self._max_of_receiver = max_of_receiver
        self._max_of_tenant = max_of_tenant
        self._running: Counter[tuple[str, ...]] = Counter()
        self.refused = 0
        self._rests: OrderedDict[tuple[str, ...], float] = OrderedDict()

    @contextmanager
    def turn(self, tenant_id: str, receiver: str) -> Iterator[bool]:
        """Yield whether there is one; it lasts as long as the block."""
        of_tenant, of_receiver = (tenant_id,), (tenant_id, receiver)
        if (
            self._running[of_receiver] >= self._max_of_receiver
            or self._running[of_tenant] >= self._max_of_tenant
            or self._rests.get(of_receiver, 0.0) > time.monotonic()
        ):
            self.refused += 1
            yield False
            return
        self._running.update((of_tenant, of_receiver))
        try:
            yield True
        finally:
            for key in (of_tenant, of_receiver):
                self._running[key] -= 1
                if not self._running[key]:
                    del self._running[key]

    def rest(self, tenant_id: str, receiver: str, seconds: float) -> None:
        """Give a receiver no turn for so long."""
        self._rests[tenant_id, receiver] = time.monotonic() + seconds
        self._rests.move_to_end((tenant_id, receiver))
        while len(self._rests) > _MAX_RESTS:
            self._rests.popitem(last=False)
