"""The one place where tests wait by sleeping."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

Seen = TypeVar("Seen")

_INTERVAL_SECONDS = 0.03


@overload
async def eventually(
    check: Callable[[], Coroutine[Any, Any, Seen | None]], timeout_seconds: float = ...
) -> Seen: ...
@overload
async def eventually(check: Callable[[], Seen | None], timeout_seconds: float = ...) -> Seen: ...
async def eventually(check: Callable[[], Any], timeout_seconds: float = 25.0) -> Any:
    """The first true value that `check` returns, sync or async; TimeoutError with the last one if none is."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        answer = check()
        seen = await answer if inspect.isawaitable(answer) else answer
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {seen!r} after {timeout_seconds} seconds")
        await asyncio.sleep(_INTERVAL_SECONDS)
