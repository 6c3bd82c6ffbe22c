"""Jobs for requests in OpenAI's form, which wait for them and are repeated by their clients.

A request without a key that says it is a repeat takes over the job of the try before it. So a time-out, a
connection that was cut or a process that was killed makes no second job, and no second charge.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import uuid4

from api.services.generations import GenerationCommand, GenerationService
from api.services.rate_limiter import RateLimiter
from api.services.request_leases import Connection, RequestLease, RequestLeases
from api.services.waiter import Waiter
from domain.auth import Caller
from domain.errors import Overloaded
from domain.generation import Generation
from domain.image_requests import ImageRequest
from domain.keyring import Keyring, mac
from domain.ports import ImageRequests
from domain.request_digest import digest
from domain.tenant import RatePolicy

_LOOK_AGAIN_SECONDS = 0.25
# Longer than a lease: every connection of before has ended by then, or was renewed.
_MAX_LOOKS = 60
# A round of no time did not wait: too many wait already, or this process stops.
_MIN_ROUND_SECONDS, _MAX_SHORT_ROUNDS = 0.05, 3


class WaitingClient(Connection, Protocol):
    """The sender of a request."""

    def waiting_for_events(self) -> AbstractAsyncContextManager[bool]: ...


@dataclass(frozen=True)
class ClientTry:
    """What a client says of its request beside what to make.

    Attributes:
        key: Its Idempotency-Key.
        retry_count: How often it has sent the request before; None if it does not say.
        route: By which route it came.
        asked: All of the body, as JSON.
    """

    key: str | None
    retry_count: int | None
    route: str
    asked: Mapping[str, Any]

    @property
    def may_be_repeat(self) -> bool:
        return self.key is not None or bool(self.retry_count)


@dataclass(frozen=True)
class AwaitedJob:
    """A job that a request waits for. lease: None where a key finds the job again."""

    generation_id: str
    is_new: bool
    lease: RequestLease | None

    def mark_sent(self) -> None:
        if self.lease is not None:
            self.lease.mark_sent()

    def end(self) -> None:
        if self.lease is not None:
            self.lease.end()


class ImageRequestService:
    """Finds or makes the job of a request, and waits for it. max_wait_seconds: for the end of a job."""

    def __init__(
        self,
        accepting: GenerationService,
        requests: ImageRequests,
        leases: RequestLeases,
        waiter: Waiter,
        rate_limiter: RateLimiter,
        keyring: Keyring,
        *,
        max_wait_seconds: float,
    ) -> None:
        self._accepting = accepting
        self._requests = requests
        self._leases = leases
        self._waiter = waiter
        self._rate_limiter = rate_limiter
        self._keyring = keyring
        self._max_wait_seconds = max_wait_seconds

    async def find_or_create(
        self, caller: Caller, command: GenerationCommand, sent: ClientTry, client: WaitingClient
    ) -> AwaitedJob:
        """Return the job of a request.

        Raises what GenerationService.accept does, and, for a repeat, RateLimited; RequestAbandoned.
        """
        if sent.key is not None:
            generation, is_new = await self._accepting.accept(caller, command, sent.key)
            return AwaitedJob(generation.id, is_new, None)
        request = self._request(caller, sent, client)
        if request.retry_count > 0:
            found = await self._adopt(request)
            if found is not None:
                return AwaitedJob(found, False, self._leases.hold(request.connection_id, client))
            self._rate_limiter.take(caller, RatePolicy.CREATE)
        generation, _ = await self._accepting.accept(caller, replace(command, image_request=request), None)
        return AwaitedJob(generation.id, True, self._leases.hold(request.connection_id, client))

    async def wait(self, caller: Caller, job: AwaitedJob, client: WaitingClient) -> Generation:
        """Return the generation once it has ended, or as it is after the longest wait.

        Raises HTTPException 408 if the client is gone, DatabaseUnavailable, and what Waiter raises of a key
        that is refused.
        """
        loop = asyncio.get_running_loop()
        until, short_rounds = loop.time() + self._max_wait_seconds, 0
        while True:
            began_at = loop.time()
            generation = await self._waiter.wait_until_ended(
                caller.tenant_id,
                job.generation_id,
                until - began_at,
                client.waiting_for_events(),
                caller.key_id,
            )
            short_rounds += loop.time() - began_at < _MIN_ROUND_SECONDS
            is_over = loop.time() >= until or short_rounds >= _MAX_SHORT_ROUNDS
            if generation.status.is_terminal or is_over:
                return generation

    def _request(self, caller: Caller, sent: ClientTry, client: WaitingClient) -> ImageRequest:
        asked = digest(sent.asked)
        return ImageRequest(
            connection_id=uuid4().hex,
            api_key_id=caller.key_id,
            route=sent.route,
            fingerprints=tuple(mac(key, "image request", asked) for key in self._keyring.accepted),
            retry_count=sent.retry_count or 0,
            marks_repeats=sent.retry_count is not None,
            is_gone=lambda: client.is_gone,
        )

    async def _adopt(self, request: ImageRequest) -> str | None:
        """Return the job of an earlier try; None if there is none.

        One whose connection seems open is looked at again until its lease is over, which makes it this
        request's, or renewed, which makes it another client's.
        """
        open_until = None
        for _ in range(_MAX_LOOKS):
            found = await self._requests.adopt(request)
            if found.adopted is not None:
                return found.adopted
            if open_until is None:
                open_until = dict(found.connected)
            open_until = {
                job: until
                for job, until in open_until.items()
                if job in found.connected and found.connected[job] <= until
            }
            if not open_until:
                return None
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        raise Overloaded
