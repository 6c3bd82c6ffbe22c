"""Loops of a worker that look for work, and outlive whatever fails in a look."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from domain.errors import DatabaseUnavailable, TemporalUnavailable

_OUTAGE_SECONDS = 1.0


async def poll_until_stopped(
    stop: asyncio.Event, look: Callable[[], Awaitable[float]], log: logging.Logger, what: str
) -> None:
    """Look again and again. Whatever fails is tried again at the next look.

    look: returns after how many seconds to look again. what: is waited for, for the log.
    """
    while not stop.is_set():
        try:
            pause_seconds = await look()
        except (DatabaseUnavailable, TemporalUnavailable) as error:
            log.warning("%s wait: %s", what, error.code)
            pause_seconds = _OUTAGE_SECONDS
        except Exception:
            log.exception("a look for %s failed", what)
            pause_seconds = _OUTAGE_SECONDS
        if pause_seconds:
            await _pause(stop, pause_seconds)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
