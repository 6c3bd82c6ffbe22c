"""The loop between the log of events and a billing system: charges go to the outbox, and from there out.

Nothing depends on this process: a charge leaves the outbox only when the receiver has taken it, and whoever
has the lease next goes on there. So each is sent at least once, in the order of the log.
"""

import asyncio
import logging
import random
from contextlib import suppress

from activities.polling import poll_until_stopped
from domain.errors import DatabaseUnavailable
from domain.ports.usage_events import UsageOutbox, UsageReceiver
from domain.usage_events import MAX_BATCH

_log = logging.getLogger("darkroom.usage_events")
_EVENTS_AT_ONCE = 2000
_IDLE_SECONDS = 1.0
_MAX_WAIT_SECONDS, _MAX_DOUBLINGS = 300.0, 9


class UsageSender:
    """Runs in every worker; the database lets one at a time collect, and one send.

    name: of this process, the lease's holder. lease_seconds: longer than one batch takes to be sent.
    first_wait_seconds: After one failure; it doubles with each, up to 5 minutes.
    """

    def __init__(
        self,
        outbox: UsageOutbox,
        receiver: UsageReceiver,
        name: str,
        *,
        lease_seconds: float,
        first_wait_seconds: float = 1.0,
    ) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._name = name
        self._lease_seconds = lease_seconds
        self._first_wait_seconds = first_wait_seconds
        self._is_started = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until stopped; then leave the lease to another."""
        await poll_until_stopped(stop, self.look, _log, "usage events")
        with suppress(DatabaseUnavailable):
            await self._outbox.release(self._name)

    async def look(self) -> float:
        """Collect and send a batch of each; return after how many seconds to look again."""
        if not self._is_started:
            await self._outbox.start()
            self._is_started = True
        work = await self._outbox.look(self._name)
        if work.is_collecting_due:
            await self._outbox.collect(_EVENTS_AT_ONCE)
        has_sent = work.is_sending_due and await self._send()
        return 0.0 if work.is_collecting_due or has_sent else _IDLE_SECONDS

    async def _send(self) -> bool:
        """Send the oldest charges, if it is our turn; return whether there may be more to send now.

        After a failure the batch is half as large: one charge that a receiver refuses holds up the others for
        as long as it does, but those before it arrive.
        """
        failures = await self._outbox.lease(self._name, self._lease_seconds)
        if failures is None:
            return False
        charges = await self._outbox.list_unsent(max(1, MAX_BATCH >> min(failures, _MAX_DOUBLINGS)))
        if not charges:
            return False
        response = await self._receiver.send_batch(charges)
        if response.problem is None:
            await self._outbox.mark_sent(self._name, [charge.position for charge in charges])
            return True
        wait_seconds = self._wait_seconds(failures, response.retry_after_seconds or 0.0)
        _log.warning(
            "%d usage events from %s on were not taken, next try in %.0f s: %s",
            *(len(charges), charges[0].transfer_id, wait_seconds, response.problem),
        )
        await self._outbox.note_failure(self._name, response.problem, wait_seconds)
        return False

    def _wait_seconds(self, failures: int, asked_seconds: float) -> float:
        wait_seconds = self._first_wait_seconds * (1 << min(failures, _MAX_DOUBLINGS))
        # Up to a tenth more, so that receivers of several installations are not asked at once.
        spread = 1 + random.random() / 10  # noqa: S311 - no secret
        return min(max(wait_seconds * spread, asked_seconds), _MAX_WAIT_SECONDS)
