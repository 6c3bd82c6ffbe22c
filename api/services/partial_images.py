"""Partial images of a job for a request that waits for it, from the log of events and the object store."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

from api.services.event_streams import EventStreams
from api.services.waiter import Waiter
from domain.events import Event, EventType
from domain.generation import Generation
from domain.partial_images import PartialImage

# A stream that ends at once did not wait: this process stops.
_MIN_STREAM_SECONDS, _MAX_SHORT_STREAMS = 0.05, 3


class WaitingClient(Protocol):
    """The sender of a request."""

    def begin_waiting(self) -> bool: ...

    def waiting(self) -> AbstractAsyncContextManager[None]: ...


class PartialImageFeed:
    """Follows jobs. max_wait_seconds: for the end of one."""

    def __init__(self, streams: EventStreams, waiter: Waiter, *, max_wait_seconds: float) -> None:
        self._streams = streams
        self._waiter = waiter
        self._max_wait_seconds = max_wait_seconds

    async def current(self, tenant_id: str, generation_id: str) -> Generation:
        """Return the generation as it is. Raises GenerationNotFound, DatabaseUnavailable."""
        return await self._waiter.wait_until_ended(tenant_id, generation_id, 0)

    async def follow(
        self, tenant_id: str, generation_id: str, client: WaitingClient, key_id: str | None = None
    ) -> AsyncGenerator[PartialImage | None]:
        """Yield each partial image once, until the job has ended; None when nothing happens for a while.

        Raises HTTPException 408 if the client is gone, DatabaseUnavailable, and what EventStreams raises of
        a key that is refused.
        """
        if not client.begin_waiting():
            return
        until = asyncio.get_running_loop().time() + self._max_wait_seconds
        told = set[tuple[int, int]]()
        try:
            async with aclosing(self._events(tenant_id, generation_id, key_id)) as events:
                while True:
                    async with asyncio.timeout_at(until), client.waiting():
                        event = await anext(events)
                    if event is None:
                        yield None
                    elif (image := _image_of(event)) and (image.index, image.partial_index) not in told:
                        told.add((image.index, image.partial_index))
                        yield image
        except (StopAsyncIteration, TimeoutError):
            return

    async def _events(
        self, tenant_id: str, generation_id: str, key_id: str | None
    ) -> AsyncGenerator[Event | None]:
        """Yield the events of a generation until it has ended, over as many streams as that takes."""
        loop = asyncio.get_running_loop()
        after, short_streams = 0, 0
        while short_streams < _MAX_SHORT_STREAMS:
            has_ended = (await self.current(tenant_id, generation_id)).status.is_terminal
            # The log may not have the end any more of a job that ended long ago.
            if has_ended:
                read = self._streams.of_ended_generation(tenant_id, generation_id, after)
            else:
                read = self._streams.of_generation(tenant_id, generation_id, after, key_id)
            began_at = loop.time()
            async with aclosing(read) as events:
                async for event in events:
                    yield event
                    if event is not None:
                        after = event.number or after
                        has_ended = has_ended or event.type.ends_generation
            if has_ended:
                return
            short_streams += loop.time() - began_at < _MIN_STREAM_SECONDS


def _image_of(event: Event) -> PartialImage | None:
    if event.type is not EventType.IMAGE_PARTIAL:
        return None
    data = event.data
    return PartialImage(
        data["index"],
        data["partial_index"],
        data["width"],
        data["height"],
        data["content_type"],
        data["size_bytes"],
    )
