"""Secrets at rest: sealed, sealed again under the next master key, and gone with their tenant."""

import pytest
from sqlalchemy import text

from adapters.database.deliveries import PostgresDeliveries
from adapters.database.delivery_log import PostgresDeliveryLog
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure, request_erasure
from adapters.database.sealed import Sealer
from adapters.database.webhook_endpoints import PostgresWebhookEndpoints
from composition.deliveries import reseal_secrets
from domain.audit import SYSTEM
from domain.errors import SecretUnreadable
from domain.keyring import Keyring
from tests.integration.erasable import OPERATOR
from tests.support.books import PostgresBooks
from tests.support.requests import new_id

OLD, NEW = "o" * 32, "n" * 32


async def test_secrets_outlive_the_master_key_that_sealed_them(
    database: Database, books: PostgresBooks
) -> None:
    # Of their own: the others of this database were sealed with keys that nobody here has.
    await books.sql("DELETE FROM deliveries")
    await books.sql("DELETE FROM webhook_endpoints")
    tenant_id = await books.tenant()
    before = PostgresWebhookEndpoints(database, Sealer(Keyring.of(OLD)))
    endpoint, first = await before.add_endpoint(
        tenant_id, "https://example.com/", "", (), max_endpoints=1, by=SYSTEM
    )
    _, second = await before.rotate_secret(tenant_id, endpoint.id, by=SYSTEM)
    delivery = await PostgresDeliveryLog(database).add_ping(endpoint)

    assert await reseal_secrets(Keyring.of(NEW, [OLD]), database) == 1
    assert await reseal_secrets(Keyring.of(NEW, [OLD]), database) == 0

    loaded = await PostgresDeliveries(database, Sealer(Keyring.of(NEW))).load_delivery(delivery.id)
    assert loaded is not None
    assert loaded.secrets == [second, first]
    with pytest.raises(SecretUnreadable):
        await PostgresDeliveries(database, Sealer(Keyring.of(OLD))).load_delivery(delivery.id)


async def test_a_tenants_webhooks_are_erased_with_it(database: Database, books: PostgresBooks) -> None:
    tenant_id, canary = await books.tenant(), new_id("canary")
    endpoints = PostgresWebhookEndpoints(database, Sealer(Keyring.of(NEW)))
    endpoint, _ = await endpoints.add_endpoint(
        tenant_id, f"https://example.com/{canary}", canary, (), max_endpoints=1, by=SYSTEM
    )
    await endpoints.rotate_job_secret(tenant_id, by=SYSTEM)
    delivery = await PostgresDeliveryLog(database).add_ping(endpoint)
    await books.sql(
        "INSERT INTO delivery_attempts (delivery_id, number, duration_ms, excerpt) VALUES (:id, 1, 1, :word)",
        id=delivery.id,
        word=canary,
    )
    assert await _found_in(database, canary) == ["delivery_attempts", "webhook_endpoints"]

    await request_erasure(database, tenant_id, by=OPERATOR)
    while await PostgresErasure(database).erase_tenant_batch(tenant_id, 10):
        pass

    assert await _found_in(database, canary) == []
    assert await books.sql("SELECT id FROM webhook_endpoints WHERE tenant_id = :id", id=tenant_id) == []
    [(erased_at,)] = await books.sql("SELECT erased_at FROM tenants WHERE id = :id", id=tenant_id)
    assert erased_at is not None


async def _found_in(database: Database, word: str) -> list[str]:
    tables = ("deliveries", "delivery_attempts", "webhook_endpoints")
    async with database.begin() as session:
        return [
            table
            for table in tables
            if await session.scalar(
                text(f"SELECT count(*) FROM {table} AS t WHERE CAST(t AS text) LIKE :word"),  # noqa: S608
                {"word": f"%{word}%"},
            )
        ]
