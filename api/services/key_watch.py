"""Ends what waits for events once its key is revoked or expired, or its tenant suspended.

One small statement a second in each process, and only while anything waits.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from domain.errors import ServiceError, TransientError
from domain.ports import KeyStates

_log = logging.getLogger("darkroom.api")
_PAUSE_SECONDS = 1.0


@dataclass(eq=False)
class _Watched:
    """What waits. key_id: None for a watch token, which belongs to its tenant alone."""

    tenant_id: str
    key_id: str | None
    refuse: Callable[[ServiceError], None]


class KeyWatch:
    """Looks at the keys and tenants for which something waits. pause_seconds: between two looks."""

    def __init__(self, states: KeyStates, *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._states = states
        self._pause_seconds = pause_seconds
        self._watched: set[_Watched] = set()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def watching(
        self, tenant_id: str, key_id: str | None, refuse: Callable[[ServiceError], None]
    ) -> Iterator[None]:
        """Call `refuse` during the block, with what a next request would be refused with, once it would."""
        watched = _Watched(tenant_id, key_id, refuse)
        self._watched.add(watched)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._watched.discard(watched)

    def close(self) -> None:
        """Look no more: the process stops."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        while self._watched:
            await asyncio.sleep(self._pause_seconds)
            try:
                await self._refuse()
            except TransientError:
                _log.warning("keys of open streams cannot be looked at now")
            except Exception:  # noqa: BLE001 - whatever it is, the next look may succeed
                _log.exception("keys of open streams could not be looked at")
        self._looking = None

    async def _refuse(self) -> None:
        keys = {each.key_id for each in self._watched if each.key_id is not None}
        tenants = {each.tenant_id for each in self._watched}
        if not tenants:
            return
        refused = await self._states.refused(keys, tenants)
        for each in tuple(self._watched) if refused else ():
            error = refused.get(each.tenant_id) or refused.get(each.key_id or "")
            if error is not None:
                each.refuse(error)
