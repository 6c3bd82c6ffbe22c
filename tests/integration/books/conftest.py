"""A database of these tests alone, in which they break what no statement of the service can break."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from adapters.database.book_checks import PostgresBookChecks
from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from adapters.database.lots import PostgresLots
from adapters.database.roles import SERVING_ROLE
from adapters.database.tenants import PostgresTenants
from admin.bootstrap import grant, migrate
from devstack.servers.running import Servers
from domain.auth import Scope
from domain.controls import Controls
from domain.generation import GenerationRequest
from tests.integration.conftest import new_database, url_of
from tests.support.books import PostgresBooks
from tests.support.requests import request


@dataclass
class Site:
    """One tenant with a lot of 100 credits: it has spent 4 and holds 4.

    owner: who may break things.
    """

    books: PostgresBooks
    ledger: PostgresLedger
    lots: PostgresLots
    checks: PostgresBookChecks
    owner: PostgresBooks
    tenant_id: str
    key_id: str
    held_id: str
    spent_id: str

    async def disagreements(self, *, whole: bool = True) -> set[str]:
        return {each.check.value for each in await self.checks.check_tenants([self.tenant_id], whole=whole)}

    async def break_by(self, *statements: str) -> None:
        """Run statements without triggers and constraints of keys."""
        values = {"tenant": self.tenant_id, "held": self.held_id, "spent": self.spent_id, "key": self.key_id}
        await run_as_owner(self.owner, values, *statements)


async def run_as_owner(owner: PostgresBooks, values: dict[str, str], *statements: str) -> None:
    async with owner.database.begin() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            # SQLAlchemy takes a colon also in quotes for a parameter.
            await session.execute(text(statement.replace("':", "'\\:")), used)


def of_key(key_id: str, price_credits: int = 4) -> GenerationRequest:
    return request(price_credits=price_credits, controls=Controls(api_key_id=key_id))


@pytest.fixture(scope="session")
async def books_url(servers: Servers) -> str:
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(migrate, url)
    await grant(url)
    return url


@pytest.fixture(scope="session")
async def books_database(books_url: str) -> AsyncIterator[Database]:
    database = Database(url_of(SERVING_ROLE, books_url), pool_size=10)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def books_owner(books_url: str) -> AsyncIterator[PostgresBooks]:
    database = Database(books_url, pool_size=1)
    yield PostgresBooks(database)
    await database.close()


@pytest.fixture
async def site(books_database: Database, books_owner: PostgresBooks) -> Site:
    books, ledger = PostgresBooks(books_database), PostgresLedger(books_database)
    tenant_id = await books.tenant(100)
    key = await PostgresTenants(books_database).create_key(tenant_id, list(Scope))
    ids = []
    for _ in range(2):
        generation_id = await books.add(tenant_id, of_key(key.key_id))
        await ledger.reserve(generation_id, tenant_id)
        ids.append(generation_id)
    await books.store(ids[1])
    await ledger.settle(ids[1])
    lots, checks = PostgresLots(books_database), PostgresBookChecks(books_database)
    return Site(books, ledger, lots, checks, books_owner, tenant_id, key.key_id, *ids)
