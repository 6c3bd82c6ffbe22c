"""Waiting for the end of what was begun, with a limit."""

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.errors import RunFailed

_LOOK_EVERY_SECONDS = 1.0


async def wait_until(is_over: Callable[[], Awaitable[bool]], *, seconds: float, what: str) -> None:
    """Look once a second. Raises RunFailed with `what` has not come after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if await is_over():
                    return
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
    except TimeoutError:
        raise RunFailed(f"after {seconds:.0f} s: {what}") from None
