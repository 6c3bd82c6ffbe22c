"""Lists of generations: each entry is equal to the generation read alone."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from adapters.database.ledger import PostgresLedger
from adapters.database.tenants import PostgresTenants
from domain.errors import GenerationNotFound, ProviderFailed
from domain.generation import Status, TerminalState
from tests.support.books import PostgresBooks
from tests.support.time_limits import scaled

_LOCK = "SELECT 1 FROM generations WHERE id = :id FOR UPDATE"
FAILED = TerminalState(Status.FAILED, ProviderFailed.code)


async def test_a_list_shows_no_images_that_are_not_paid_for(books: PostgresBooks) -> None:
    ledger = PostgresLedger(books.database)
    tenant_id = await books.tenant(12)
    paid, refunded, stored = [await books.add(tenant_id) for _ in range(3)]
    for generation_id in (paid, refunded, stored):
        await ledger.reserve(generation_id)
        await books.store(generation_id)
    await ledger.settle(paid)
    await ledger.refund(refunded, FAILED)

    listed = await books.listed(tenant_id)

    assert {each.id: len(each.images) for each in listed} == {paid: 1, refunded: 0, stored: 0}
    assert [await books.read(each.id) for each in listed] == [replace(each, attempts=()) for each in listed]


async def test_another_tenants_cancel_waits_for_nothing(books: PostgresBooks) -> None:
    generation_id, stranger = await books.add(await books.tenant(1)), await books.tenant(1)
    async with books.database.begin() as session, asyncio.timeout(scaled(20)):
        await session.execute(text(_LOCK), {"id": generation_id})
        for tenant_id in (stranger, "ten_nobody"):
            with pytest.raises(GenerationNotFound):
                await books.generations.record_cancel_request(tenant_id, generation_id)


@pytest.mark.parametrize("tenant_id", ["../ten_1", "a/b", "a b", "-a", "1a", "a" * 65, "t\n", "é", "."])
async def test_a_tenants_id_is_no_path(books: PostgresBooks, tenant_id: str) -> None:
    with pytest.raises(ValueError, match="a tenant's id"):
        await PostgresTenants(books.database).create("a tenant", tenant_id)
