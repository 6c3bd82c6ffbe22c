"""A database of these tests alone, as one outbox is for all of an installation, and a billing system."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from activities.usage_sender import UsageSender
from adapters.billing_receiver import HttpBillingReceiver, billing_client
from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from adapters.database.roles import SERVING_ROLE
from adapters.database.usage_outbox import PostgresUsageOutbox
from admin.bootstrap import grant, migrate
from devstack.servers.running import Servers
from tests.integration.conftest import new_database, url_of
from tests.support.books import PostgresBooks
from tests.support.requests import new_id, request
from tests.support.webhook_receiver import OK, Receiver, Respond, receiving

PATH = "/usage"
SOURCE = "https://api.test"
TOKEN = "a-token-of-the-receiver"  # noqa: S105 - not a secret: of no account
_FORGET = (
    "DELETE FROM usage_outbox",
    "UPDATE usage_senders SET holder = NULL, leased_until = NULL, failures = 0, next_attempt_at = NULL",
    "UPDATE event_cursors SET transaction_id = -1, event_id = 0 WHERE name = 'usage'",
)


@dataclass
class Site:
    """A ledger whose charges a receiver is told of."""

    books: PostgresBooks
    ledger: PostgresLedger
    outbox: PostgresUsageOutbox
    receiver: Receiver
    sender: UsageSender
    database_url: str

    async def charge(self, tenant_id: str, *, images: int = 1, price_credits: int = 4) -> str:
        """Charge a generation; return the id of its event."""
        wanted = request(n=images, price_credits=price_credits)
        generation_id = await self.books.add(tenant_id, wanted)
        await self.ledger.reserve(generation_id, tenant_id)
        await self.books.store(generation_id, images)
        await self.ledger.settle(generation_id)
        return f"{generation_id}:settle"

    def answer(self, *responses: Respond) -> None:
        """Have the receiver respond like this, one after the other; the last one stays."""
        self.receiver.url(PATH, *responses)
        self.receiver.received.clear()

    def ids(self) -> list[str]:
        """Return the ids of all events that came, in order."""
        return [event["id"] for each in self.receiver.at(PATH) for event in each.events]

    async def send_all(self) -> None:
        while not await self.sender.look():
            pass

    async def unsent(self) -> list[str]:
        rows = await self.books.sql("SELECT transfer_id FROM usage_outbox ORDER BY id")
        return [row.transfer_id for row in rows]


@pytest.fixture(scope="session")
async def usage_url(servers: Servers) -> str:
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    await grant(url)
    return url


@pytest.fixture(scope="session")
async def usage_database(usage_url: str) -> AsyncIterator[Database]:
    database = Database(url_of(SERVING_ROLE, usage_url), pool_size=10)
    yield database
    await database.close()


@pytest.fixture
async def site(usage_url: str, usage_database: Database) -> AsyncIterator[Site]:
    """Start with an empty outbox. Waits after failures are a hundredth of those in production."""
    books, outbox = PostgresBooks(usage_database), PostgresUsageOutbox(usage_database)
    for statement in _FORGET:
        await books.sql(statement)
    async with receiving() as receiver, billing_client(2.0) as client:
        url = receiver.url(PATH, OK)
        to = HttpBillingReceiver(client, url, TOKEN, SOURCE, timeout_seconds=2.0)
        sender = UsageSender(outbox, to, new_id("sender"), lease_seconds=30, first_wait_seconds=0.01)
        await outbox.start()
        ledger = PostgresLedger(usage_database)
        yield Site(books, ledger, outbox, receiver, sender, url_of(SERVING_ROLE, usage_url))
