"""A tenant with one endpoint, and workflows that are only noted."""

from collections.abc import Collection
from dataclasses import dataclass, field

from activities.dispatcher import Dispatcher
from adapters.database.deliveries import PostgresDeliveries
from adapters.database.engine import Database
from adapters.database.sealed import Sealer
from adapters.database.webhook_endpoints import PostgresWebhookEndpoints
from domain.audit import SYSTEM
from domain.errors import TemporalUnavailable
from domain.webhooks import DeliveryInput
from tests.support.books import PostgresBooks
from tests.support.webhook_sending import KEYRING

WANTED = ["credits.granted"]
_BATCH = 500


@dataclass
class Workflows:
    """Workflows that are only noted. away: Temporal cannot be reached. open_ids: those that run."""

    away: bool = False
    started: list[DeliveryInput] = field(default_factory=list)
    open_ids: Collection[str] = ()

    async def start_delivery(self, delivery: DeliveryInput) -> None:
        if self.away:
            raise TemporalUnavailable
        self.started.append(delivery)

    async def is_delivery_open(self, workflow_id: str) -> bool:
        return workflow_id in self.open_ids

    async def wake_delivery(self, workflow_id: str) -> None:
        raise NotImplementedError

    def of(self, tenant_id: str) -> list[DeliveryInput]:
        return [each for each in self.started if each.tenant_id == tenant_id]


@dataclass
class Site:
    """One tenant with one endpoint."""

    books: PostgresBooks
    deliveries: PostgresDeliveries
    tenant_id: str
    endpoint_id: str

    async def write_events(self, count: int = 1) -> None:
        for _ in range(count):
            await self.books.sql(
                "SELECT write_event(:tenant, NULL, 'credits.granted', '{}')", tenant=self.tenant_id
            )

    async def dispatch_all(self) -> None:
        while (await self.deliveries.dispatch(_BATCH)).events:
            pass

    async def rows(self) -> list[tuple[str, int, str]]:
        """Return id, event and status of each delivery of the tenant."""
        found = await self.books.sql(
            "SELECT id, event_id, status FROM deliveries WHERE tenant_id = :tenant ORDER BY event_id",
            tenant=self.tenant_id,
        )
        return [tuple(row) for row in found]


async def new_site(database: Database, books: PostgresBooks) -> Site:
    sealer, tenant_id = Sealer(KEYRING), await books.tenant()
    endpoints = PostgresWebhookEndpoints(database, sealer)
    endpoint, _ = await endpoints.add_endpoint(
        tenant_id, "https://example.com/", "", WANTED, max_endpoints=1, by=SYSTEM
    )
    return Site(books, PostgresDeliveries(database, sealer), tenant_id, endpoint.id)


async def look_until_done(dispatcher: Dispatcher) -> None:
    while not await dispatcher.look():
        pass
