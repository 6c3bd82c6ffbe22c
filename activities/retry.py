"""Retries inside an activity, for work that a new run of the activity could not do again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import activity

from domain.errors import TransientError

T = TypeVar("T")
_MAX_TRIES = 8
_MAX_PAUSE_SECONDS = 15.0


async def retry_transient(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call while it raises a TransientError; after 8 tries, about a minute, the error is raised.

    For what exists nowhere else and has been paid for, such as a job id or the bytes of an image.
    """
    for tries in range(1, _MAX_TRIES):
        try:
            return await call()
        except TransientError as error:
            activity.logger.warning("will retry: %s", error)
            await asyncio.sleep(min(2.0**tries / 2, _MAX_PAUSE_SECONDS))
    return await call()
