"""Waiting for the end of a generation."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

from api.services.event_feed import EventFeed, EventsDropped, Subscription
from api.services.key_watch import KeyWatch
from domain.generation import Generation
from domain.ports import Generations


class Waiter:
    """Waits without a thread, a transaction or a connection."""

    def __init__(self, feed: EventFeed, generations: Generations, watch: KeyWatch) -> None:
        self._feed = feed
        self._watch = watch
        self._generations = generations

    async def wait_until_ended(
        self,
        tenant_id: str,
        generation_id: str,
        seconds: float,
        waiting: AbstractAsyncContextManager[bool] | None = None,
        key_id: str | None = None,
    ) -> Generation:
        """Return the generation as soon as it has ended, or as it is after this time.

        waiting: entered for the wait itself; yields whether that may be. key_id: of who waits.
        Raises GenerationNotFound, DatabaseUnavailable, and Unauthenticated or TenantSuspended once the next
        request of who waits would be refused.
        """
        async with self._feed.of_generation(generation_id) as subscription:
            generation = await self._generations.get_generation_of(tenant_id, generation_id)
            if generation.status.is_terminal or seconds <= 0:
                return generation
            async with waiting or nullcontext(enter_result=True) as may_wait:
                if may_wait:
                    with self._watch.watching(tenant_id, key_id, subscription.refuse):
                        await _until_ended(subscription, seconds)
                    subscription.require_allowed()
        return await self._generations.get_generation_of(tenant_id, generation_id)


async def _until_ended(subscription: Subscription, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0 and not subscription.is_closed:
        try:
            events = await subscription.take(left)
        except EventsDropped:  # the row tells
            return
        if any(event.type.ends_generation for event in events):
            return
