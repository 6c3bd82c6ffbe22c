"""The only function in which tests wait by sleeping."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

from tests.support.time_limits import scaled

Seen = TypeVar("Seen")

_INTERVAL_SECONDS = 0.03


@overload
async def eventually(
    check: Callable[[], Coroutine[Any, Any, Seen | None]], timeout_seconds: float = ...
) -> Seen: ...
@overload
async def eventually(check: Callable[[], Seen | None], timeout_seconds: float = ...) -> Seen: ...
async def eventually(check: Callable[[], Any], timeout_seconds: float = 60.0) -> Any:
    """Return the first true value of `check`, sync or async; raise TimeoutError if none comes.

    timeout_seconds: on an idle machine; `tests/support/time_limits.py` scales it.
    """
    limit_seconds = scaled(timeout_seconds)
    deadline = time.monotonic() + limit_seconds
    while True:
        answer = check()
        seen = await answer if inspect.isawaitable(answer) else answer
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {seen!r} after {limit_seconds:.3g} seconds")
        await asyncio.sleep(_INTERVAL_SECONDS)
