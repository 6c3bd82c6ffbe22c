"""The stack's blocking context managers, and its way to be stopped, for a program on an event loop."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, TypeVar

from devstack.errors import Interrupted
from devstack.process.stop_flag import StopFlag

T = TypeVar("T")


@asynccontextmanager
async def on_a_thread(blocking: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave it on a thread; the loop goes on meanwhile, so that signals are heard."""
    entered = await asyncio.to_thread(blocking.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(blocking.__exit__, None, None, None)


@asynccontextmanager
async def flag_of(stop: asyncio.Event) -> AsyncIterator[StopFlag]:
    """A flag for threads that is up as soon as the event is set."""
    flag = StopFlag()

    async def relay() -> None:
        await stop.wait()
        flag.set()

    relaying = asyncio.create_task(relay())
    try:
        yield flag
    finally:
        relaying.cancel()


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The work's result. Raises Interrupted if `stop` is set first, with the work cancelled and ended."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        raise Interrupted
    return working.result()
