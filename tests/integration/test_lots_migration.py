"""Migration 0016: what each tenant has becomes one lot, and jobs that were held before go on."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from adapters.database.lots import PostgresLots
from adapters.database.tenants import PostgresTenants
from devstack.servers.running import Servers
from domain.audit import SYSTEM
from domain.credits import Balance
from domain.errors import ReferenceReused, TakeBackTooLarge
from domain.generation import Status, TerminalState
from domain.lots import Grant, Lot, LotCategory
from tests.integration.before_lots import OldVersion, alembic, connect, database_before_lots
from tests.support.books import PostgresBooks

CANCELED = TerminalState(Status.CANCELED)
TENANTS = ("rich", "empty", "free", "over")


@pytest.fixture
async def url(servers: Servers) -> str:
    """Return a database at 0014: tenants with open holds, with ended jobs only, and without anything."""
    url = await database_before_lots(servers)
    connection = await connect(url)
    try:
        old = OldVersion(connection)
        for tenant_id in TENANTS:
            await old.tenant(tenant_id)
        await old.grant("rich", 100, "first")
        await old.grant("rich", 50, "second")
        await old.withdraw("rich", 10, "back")
        await old.job("rich", "open", 8, n=4, key="key")
        await old.job("rich", "partly", 9, n=3, key="key")
        await old.job("rich", "nothing", 0)
        await old.settle(await old.job("rich", "settled", 12, n=2, key="key", images=1))
        await old.refund(await old.job("rich", "refunded", 7, key="key"))
        await old.job("free", "open", 0, key="free key")
        await old.grant("over", 5, "first")
        await old.settle(await old.job("over", "settled", 5, key="spent key", images=1))
    finally:
        await connection.close()
    return url


@pytest.fixture
async def books(url: str) -> AsyncIterator[PostgresBooks]:
    """Open the database, which each test migrates."""
    database = Database(url, pool_size=5)
    yield PostgresBooks(database)
    await database.close()


@pytest.fixture
async def migrated(url: str, books: PostgresBooks) -> PostgresBooks:
    await alembic("upgrade", url, "head")
    return books


@pytest.fixture
async def old(url: str) -> AsyncIterator[OldVersion]:
    connection = await connect(url)
    yield OldVersion(connection)
    await connection.close()


async def lots_of(books: PostgresBooks, tenant_id: str) -> list[Lot]:
    lots = PostgresLots(books.database)
    return list(await lots.list_lots(tenant_id, after=None, limit=10, open_only=False))


async def the_lot_of(books: PostgresBooks, tenant_id: str) -> Lot:
    [lot] = await lots_of(books, tenant_id)
    return lot


async def agree(books: PostgresBooks) -> None:
    for tenant_id in TENANTS:
        await books.assert_consistent(tenant_id)


async def test_each_tenant_has_one_paid_lot_that_never_expires(migrated: PostgresBooks) -> None:
    lots = {tenant_id: await lots_of(migrated, tenant_id) for tenant_id in TENANTS}
    assert lots.pop("empty") == []
    for [lot] in lots.values():
        assert (lot.category, lot.expires_at, lot.reference) == (LotCategory.PAID, None, "")
    found = {
        tenant_id: (lot.remaining, lot.held, lot.spent, lot.closed_at is None)
        for tenant_id, [lot] in lots.items()
    }
    assert found == {"rich": (117, 17, 6, True), "free": (0, 0, 0, False), "over": (0, 0, 5, False)}
    assert await migrated.balance("rich") == Balance(117, 17, 6)
    spending = await migrated.sql(
        "SELECT api_key_id, held_credits, charged_credits FROM key_spending ORDER BY 1"
    )
    assert [tuple(row) for row in spending] == [("free key", 0, 0), ("key", 17, 6), ("spent key", 0, 5)]
    days = await migrated.sql(
        "SELECT tenant_id, generations, images, charged_credits FROM usage_days ORDER BY 1"
    )
    assert [tuple(row) for row in days] == [("over", 1, 1, 5), ("rich", 1, 1, 6)]
    await agree(migrated)


async def test_jobs_that_were_held_before_go_on(migrated: PostgresBooks, old: OldVersion) -> None:
    ledger = PostgresLedger(migrated.database)
    await old.store("rich_open", 4)
    await old.store("rich_partly", 2)
    await old.store("rich_nothing", 1)
    assert (await ledger.settle("rich_open")).charged_credits == 8
    assert (await ledger.settle("rich_partly")).charged_credits == 6
    assert (await ledger.settle("rich_nothing")).charged_credits == 0
    await ledger.refund("free_open", CANCELED)
    lot = await the_lot_of(migrated, "rich")
    assert (lot.remaining, lot.held, lot.spent) == (120, 0, 20)
    await agree(migrated)


async def test_a_refund_of_a_job_from_before_returns_it_to_the_lot(migrated: PostgresBooks) -> None:
    ledger = PostgresLedger(migrated.database)
    for generation_id in ("rich_open", "rich_partly", "rich_nothing"):
        await ledger.refund(generation_id, CANCELED)
    lot = await the_lot_of(migrated, "rich")
    assert (lot.remaining, lot.held, lot.spent) == (134, 0, 6)
    await agree(migrated)


async def test_a_grant_from_before_is_known(migrated: PostgresBooks) -> None:
    lots = PostgresLots(migrated.database)
    for is_payment in (False, True):
        granted = await lots.grant(Grant("rich", 100, "first", is_payment=is_payment), by=SYSTEM)
        assert not granted.is_new
        with pytest.raises(ReferenceReused):
            await lots.grant(Grant("rich", 99, "first", is_payment=is_payment), by=SYSTEM)
    with pytest.raises(ReferenceReused):
        await PostgresCreditAccounts(migrated.database).withdraw("rich", 11, "back", by=SYSTEM)
    await PostgresCreditAccounts(migrated.database).withdraw("rich", 10, "back", by=SYSTEM)
    assert await migrated.balance("rich") == Balance(117, 17, 6)
    await agree(migrated)


async def test_a_payment_from_before_is_taken_back(migrated: PostgresBooks) -> None:
    lots = PostgresLots(migrated.database)
    taken = await lots.take_back("rich", "second", "refund", 20, by=SYSTEM)
    assert taken.applied_credits == 20
    with pytest.raises(TakeBackTooLarge):
        await lots.take_back("rich", "second", "more", 31, by=SYSTEM)
    await lots.take_back("rich", "second", "rest", None, by=SYSTEM)
    assert await migrated.balance("rich") == Balance(67, 17, 6)
    # What an operator had withdrawn by then went back already: what is held or spent is owed.
    await lots.take_back("rich", "first", "all", None, by=SYSTEM)
    assert await migrated.balance("rich") == Balance(0, 17, 6, owed=23)
    await agree(migrated)


async def test_processes_of_the_version_before_keep_lots_right(
    migrated: PostgresBooks, old: OldVersion
) -> None:
    await old.grant("over", 20, "second")
    await old.withdraw("over", 3, "back")
    lots = await lots_of(migrated, "over")
    assert [(lot.reference, lot.remaining, lot.withdrawn) for lot in lots] == [("second", 17, 3), ("", 0, 0)]
    await old.settle(await old.job("over", "again", 6, n=3, images=2))
    await old.refund(await old.job("over", "once more", 6))
    assert await migrated.balance("over") == Balance(13, 0, 9)
    await agree(migrated)


async def test_the_version_before_reads_balances(migrated: PostgresBooks, old: OldVersion) -> None:
    """Beside the version of lots, also of tenants that this has made, or granted something."""
    assert await old.balance("rich") == (117, 17, 6)
    await PostgresLots(migrated.database).grant(Grant("rich", 3, "third", is_payment=True), by=SYSTEM)
    await PostgresLots(migrated.database).take_back("rich", "third", "refund", 1, by=SYSTEM)
    assert await old.balance("rich") == (119, 17, 6)
    await PostgresTenants(migrated.database).create("new", "new")
    assert await old.balance("new") == (0, 0, 0)
    await old.grant("new", 5, "first")
    assert await old.balance("new") == (5, 0, 0)
    await agree(migrated)


async def test_the_version_before_is_refused_what_lots_do_not_have(
    migrated: PostgresBooks, old: OldVersion
) -> None:
    """It reports success where the function returns."""
    with pytest.raises(asyncpg.CheckViolationError):
        await old.withdraw("over", 1, "too much")


async def test_a_tenant_that_the_version_before_made_has_lots(
    migrated: PostgresBooks, old: OldVersion
) -> None:
    """It makes no account for what is owed."""
    await old.tenant("late")
    await old.grant("late", 10, "pay")
    lots = PostgresLots(migrated.database)
    await lots.grant(Grant("late", 5, "other", is_payment=True), by=SYSTEM)
    await old.settle(await old.job("late", "job", 12, images=1))
    await lots.take_back("late", "pay", "chargeback", None, by=SYSTEM)
    assert await migrated.balance("late") == Balance(3, 0, 12, owed=10)
    await lots.grant(Grant("late", 25, "more"), by=SYSTEM)
    assert await migrated.balance("late") == Balance(18, 0, 12)
    await migrated.assert_consistent("late")


async def test_a_downgrade_and_a_second_upgrade(url: str, migrated: PostgresBooks, old: OldVersion) -> None:
    await PostgresLedger(migrated.database).refund("rich_partly", CANCELED)
    await old.grant("rich", 1, "third")
    await alembic("downgrade", url, "0015")
    await old.refund(await old.job("rich", "at_0015", 3))
    await alembic("downgrade", url, "0014")
    await old.job("rich", "at_0014", 4)
    await alembic("upgrade", url, "head")
    lot = await the_lot_of(migrated, "rich")
    assert (lot.remaining, lot.held, lot.spent) == (123, 12, 6)
    await PostgresLedger(migrated.database).refund("rich_at_0014", CANCELED)
    await agree(migrated)


async def test_what_is_owed_outlives_a_downgrade(url: str, migrated: PostgresBooks) -> None:
    lots = PostgresLots(migrated.database)
    await lots.take_back("over", "first", "chargeback", None, by=SYSTEM)
    await alembic("downgrade", url, "0015")
    await alembic("upgrade", url, "head")
    assert await migrated.balance("over") == Balance(0, 0, 5, owed=5)
    assert not (await lots.take_back("over", "first", "chargeback", None, by=SYSTEM)).is_new
    await agree(migrated)
    await lots.grant(Grant("over", 12, "next"), by=SYSTEM)
    assert await migrated.balance("over") == Balance(7, 0, 5)
    await agree(migrated)
