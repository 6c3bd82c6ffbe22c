"""The stack's blocking context managers and its stop flag, for a program with an event loop."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, TypeVar

from devstack.errors import Interrupted
from devstack.process.stop_flag import StopFlag

T = TypeVar("T")


@asynccontextmanager
async def in_thread(blocking: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager on a thread, so that the loop can handle signals meanwhile."""
    entering = asyncio.create_task(asyncio.to_thread(blocking.__enter__))
    try:
        entered = await asyncio.shield(entering)
    except asyncio.CancelledError:
        # The thread goes on, and what it has started must end first.
        await asyncio.wait((entering,))
        if entering.exception() is None:
            await asyncio.to_thread(blocking.__exit__, None, None, None)
        raise
    try:
        yield entered
    finally:
        await asyncio.to_thread(blocking.__exit__, None, None, None)


@asynccontextmanager
async def stop_flag_for(stop: asyncio.Event) -> AsyncIterator[StopFlag]:
    """Return a flag for threads that is set with the event."""
    flag = StopFlag()

    async def relay() -> None:
        await stop.wait()
        flag.set()

    relaying = asyncio.create_task(relay())
    try:
        yield flag
    finally:
        relaying.cancel()


async def run_until_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """Return the work's result. If `stop` is set first, cancel the work and raise Interrupted."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        raise Interrupted
    return working.result()
