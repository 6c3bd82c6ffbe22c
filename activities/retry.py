"""Retries inside an activity, for work that a new run of the activity could not do again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import activity

from domain.errors import PermanentError, SubmitAmbiguous

T = TypeVar("T")
PAID_SECONDS = 600.0
_FIRST_PAUSE_SECONDS = 0.5
_MAX_PAUSE_SECONDS = 15.0
# What a worker that stops, and whose grace is over, still has for it.
_STOPPING_SECONDS = 20.0
# A mistake in our own code: it would happen again.
_BUGS = (TypeError, AttributeError, LookupError, ValueError, AssertionError, NotImplementedError)


async def retry_transient(call: Callable[[], Awaitable[T]], *, budget_seconds: float = PAID_SECONDS) -> T:
    """Repeat a call that fails; once no try is left within the budget, the error is raised.

    For what exists nowhere else and has been paid for, such as a job id or the bytes of an image. So also an
    error that nobody foresaw is tried again, unless it is a final answer of ours or provably a bug.
    """
    over_at = time.monotonic()
    end, pause_seconds = over_at + budget_seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call()
        except (PermanentError, SubmitAmbiguous, *_BUGS):
            raise
        except Exception as error:
            if _grace_is_over():
                end = min(end, over_at + _STOPPING_SECONDS)
            else:
                over_at = time.monotonic()
            if time.monotonic() + pause_seconds > end:
                raise
            activity.logger.warning("will retry: %s", error)
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, _MAX_PAUSE_SECONDS)


def _grace_is_over() -> bool:
    """Return whether the worker stops and has canceled the activity, as it does when its grace is over."""
    return activity.in_activity() and activity.is_worker_shutdown() and activity.is_cancelled()
