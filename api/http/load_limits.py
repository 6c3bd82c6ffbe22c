"""How many requests are in progress at once, for each group of routes on its own.

A flood of one group is refused without harm to the others. Requests of nobody that we know share a group's
limit; each tenant has half as many more for its own, from the moment its key is recognized. So no tenant
takes a place from another or from a stranger, not even where its requests wait for one another.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.http.client import client_of
from api.http.problems import problem
from api.services.fair_turns import FairTurns, Turn
from domain.errors import Overloaded

_RETRY_AFTER = {"Retry-After": "1"}
_CREATES = "creates"
_CREATING_PATHS = ("/v1/generations", "/v1/images/generations", "/v1/images/edits", "/v1/batches")


class RouteGroup(StrEnum):
    """Routes that share a limit."""

    API = "api"
    IMAGES = "images"
    UPLOADS = "uploads"
    WEBHOOKS = "webhooks"
    HEALTH = "health"
    OTHER = "other"
    WAITING = "waiting"

    @classmethod
    def of(cls, method: str, path: str) -> "RouteGroup":
        """Return the group of a request, before anything is known of it but its first line."""
        if path.startswith("/v1/webhooks/"):
            return cls.WEBHOOKS
        if path in ("/healthz", "/readyz"):
            return cls.HEALTH
        if path.startswith("/v1/generations/") and "/images/" in path:
            return cls.IMAGES
        if path == "/v1/files" and method == "POST":
            return cls.UPLOADS
        return cls.API if path.startswith("/v1/") else cls.OTHER


def _defaults() -> dict[RouteGroup, int]:
    return {
        RouteGroup.API: 4_000,
        RouteGroup.IMAGES: 500,
        RouteGroup.UPLOADS: 200,
        RouteGroup.WEBHOOKS: 500,
        RouteGroup.HEALTH: 500,
        RouteGroup.OTHER: 100,
        # Of whatever route: they wait for events, and a process holds many of them.
        RouteGroup.WAITING: 5_000,
    }


@dataclass(frozen=True)
class LoadLimits:
    """max_requests: in progress at once, for every group, of which no tenant is known; of each tenant half.

    max_running_per_tenant: of new generations, other calls, images and uploads each; the tenant's others
    wait, at most `wait_seconds`. Else a burst would share the database's connections until most of it fails
    for lack of one.
    max_running_of_links: of signed links that one address follows.
    max_running_beside_others: the same, while another tenant was there in the last minute, so that
    whoever sends one request does not wait for what a neighbor has in progress.
    hold_seconds: how long a turn that lasts holds up its tenant's next beside others.
    rest_after_creates, rest_after_calls: how many times as long as its turn a tenant of which more than 8
    wait rests after it, while another is there. After a new generation longer: most of its work is to come.
    wait_seconds: enough for 2,000 posts beside others on two cores, and less than the proxy of compose waits.
    """

    max_requests: Mapping[RouteGroup, int] = field(default_factory=_defaults)
    max_running_per_tenant: int = 16
    max_running_of_links: int = 2
    max_running_beside_others: int = 1
    hold_seconds: float = 0.25
    rest_after_creates: float = 10.0
    rest_after_calls: float = 3.0
    wait_seconds: float = 200.0

    def max_per_tenant(self, group: RouteGroup) -> int:
        return max(1, self.max_requests[group] // 2)


class LoadLimitMiddleware:
    """Refuses requests over the limit of their group: 503 to those of nobody, 429 to a tenant's."""

    def __init__(self, app: ASGIApp, *, limits: LoadLimits) -> None:
        self._app = app
        self._limits = limits
        self._of_nobody: Counter[RouteGroup] = Counter()
        self._of_tenants: Counter[tuple[RouteGroup, str]] = Counter()
        self._turns = FairTurns(
            alone=limits.max_running_per_tenant,
            shared=limits.max_running_beside_others,
            wait_seconds=limits.wait_seconds,
            hold_seconds=limits.hold_seconds,
            rests=dict.fromkeys(RouteGroup, limits.rest_after_calls) | {_CREATES: limits.rest_after_creates},
        )
        self._turns_of_links = FairTurns(
            alone=limits.max_running_of_links,
            shared=limits.max_running_of_links,
            wait_seconds=limits.wait_seconds,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        group = RouteGroup.of(scope["method"], scope["path"])
        if self._of_nobody[group] >= self._limits.max_requests[group]:
            metrics.shed.labels(group).inc()
            status = HTTPStatus.SERVICE_UNAVAILABLE
            refusal = problem(status, Overloaded.code, Overloaded.message, headers=_RETRY_AFTER)
            await refusal(scope, receive, send)
            return
        await self._run(group, scope, receive, send)

    async def _run(self, group: RouteGroup, scope: Scope, receive: Receive, send: Send) -> None:
        client = client_of(scope)
        async with AsyncExitStack() as held:
            place = _Place(self, group, scope, held)

            async def send_after_turn(message: Message) -> None:
                # What is left to do is to wait for a client that reads, or for what a stream tells of.
                place.end_turns()
                await send(message)

            client.when_recognized(place.count_for_tenant)
            client.when_authenticated(place.take_turn)
            client.when_waiting(place.begin_waiting)
            await self._app(scope, receive, send_after_turn)

    def limit_turns(
        self, tenant_id: str | None, group: RouteGroup, scope: Scope
    ) -> AbstractAsyncContextManager[Turn] | None:
        """Return the wait for a turn; None for a provider's webhook, which waits for nothing."""
        client = client_of(scope)
        if tenant_id is not None:
            return self._turns.limit(tenant_id, _lane_of(scope, group), client.waiting())
        if group is RouteGroup.IMAGES:
            return self._turns_of_links.limit(client.group, waiting=client.waiting())
        return None

    def may_wait(self, tenants: Sequence[str]) -> bool:
        """Return whether one more request may wait for events."""
        group = RouteGroup.WAITING
        return self._of_nobody[group] < self._limits.max_requests[group] and all(
            self._of_tenants[group, tenant_id] < self._limits.max_per_tenant(group) for tenant_id in tenants
        )

    @contextmanager
    def count_nobody(self, group: RouteGroup) -> Iterator[None]:
        """Count a request of which no tenant is known."""
        self._of_nobody[group] += 1
        try:
            yield
        finally:
            self._of_nobody[group] -= 1

    @contextmanager
    def count_tenant(self, group: RouteGroup, tenant_id: str) -> Iterator[None]:
        """Count for a tenant what was counted for nobody. Raises HTTPException 429."""
        if self._of_tenants[group, tenant_id] >= self._limits.max_per_tenant(group):
            metrics.shed.labels(group).inc()
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers=_RETRY_AFTER)
        self._of_tenants[group, tenant_id] += 1
        self._of_nobody[group] -= 1
        try:
            yield
        finally:
            self._of_nobody[group] += 1
            self._of_tenants[group, tenant_id] -= 1
            if self._of_tenants[group, tenant_id] == 0:
                del self._of_tenants[group, tenant_id]


class _Place:
    """What one request takes of the limits, and gives back when it ends or begins to wait."""

    def __init__(
        self, limits: LoadLimitMiddleware, group: RouteGroup, scope: Scope, held: AsyncExitStack
    ) -> None:
        self._limits = limits
        self._group = group
        self._scope = scope
        self._held = held
        self._counts = held.enter_context(ExitStack())
        self._counts.enter_context(limits.count_nobody(group))
        self._tenants: list[str] = []
        self._turns: list[Turn] = []

    def count_for_tenant(self, tenant_id: str) -> None:
        self._counts.enter_context(self._limits.count_tenant(self._group, tenant_id))
        self._tenants.append(tenant_id)

    async def take_turn(self, tenant_id: str | None) -> None:
        limit = self._limits.limit_turns(tenant_id, self._group, self._scope)
        if limit is not None:
            self._turns.append(await self._held.enter_async_context(limit))

    def end_turns(self) -> None:
        for turn in self._turns:
            turn.end()

    def begin_waiting(self) -> bool:
        if not self._limits.may_wait(self._tenants):
            return False
        self.end_turns()
        self._counts.close()
        self._counts.enter_context(self._limits.count_nobody(RouteGroup.WAITING))
        for tenant_id in self._tenants:
            self._counts.enter_context(self._limits.count_tenant(RouteGroup.WAITING, tenant_id))
        self._counts.enter_context(metrics.waiting.track_inprogress())
        return True


def _lane_of(scope: Scope, group: RouteGroup) -> str:
    """Return whom a request waits for: those of its group, but new generations only for one another."""
    path = scope["path"]
    is_new = scope["method"] == "POST" and (path in _CREATING_PATHS or path.endswith("/retry"))
    return _CREATES if is_new else group
