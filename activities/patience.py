"""For what cannot be had again: it is worth waiting for a database or a store that is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import activity

from domain.errors import TransientError

T = TypeVar("T")
_TRIES = 8
_LONGEST_PAUSE_SECONDS = 15.0


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call again while that may help: what is at hand here exists nowhere else and has been paid for."""
    for attempt in range(1, _TRIES):
        try:
            return await call()
        except TransientError as error:
            activity.logger.warning("will retry: %s", error)
            await asyncio.sleep(min(2.0**attempt / 2, _LONGEST_PAUSE_SECONDS))
    return await call()
