"""Statements of months against a history that is added up by hand, and usage in every grouping."""

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise

import asyncpg
import pytest

from adapters.database.books import PostgresBooks
from adapters.database.engine import Database
from adapters.database.tenants import PostgresTenants
from domain.credits import TransferKind
from domain.errors import InvalidInput, TenantNotFound
from domain.statements import (
    ModelCharge,
    Parts,
    Statement,
    UsageGroup,
    UsageLine,
    UsageQuery,
    month_of,
    next_month,
    start_of,
)
from tests.support.past_books import (
    AVAILABLE,
    HELD,
    ISSUED,
    OWED,
    SPENT,
    Movement,
    PastBooks,
    random_books,
    random_moments,
    seeded,
)
from tests.support.requests import new_id

MONTHS = (date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1))
EDGES = [start_of(month) for month in MONTHS]
JANUARY = MONTHS[2]
HISTORIES, MOVEMENTS = 12, 120


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def statements(database: Database) -> PostgresBooks:
    return PostgresBooks(database)


@pytest.fixture
async def tenant_id(database: Database) -> str:
    return await PostgresTenants(database).create("Acme", new_id("ten"))


def by_hand(books: PastBooks, month: date) -> Statement:
    """Return the statement of a month that has ended, from nothing but the movements and their times."""
    start, end = start_of(month), start_of(next_month(month))
    before = [each for each in books.movements if each.at < start]
    inside = [each for each in books.movements if start <= each.at < end]

    def moved(kind: TransferKind) -> int:
        return sum(each.amount for each in inside if each.kind is kind)

    def standing(account: str) -> int:
        return sum(each.changes.get(account, 0) for each in (*before, *inside))  # type: ignore[call-overload]

    granted = [each for each in inside if each.kind is TransferKind.GRANT]
    promotional = sum(each.amount for each in granted if each.category == "promotional")
    return Statement(
        month=month,
        is_final=True,
        opening=sum(each.balance_change for each in before),
        granted_paid=sum(each.amount for each in granted) - promotional,
        granted_promotional=promotional,
        charges=_charges(inside),
        expired=moved(TransferKind.EXPIRE_LOT),
        voided=moved(TransferKind.VOID_LOT),
        withdrawn=moved(TransferKind.WITHDRAW),
        taken_back=moved(TransferKind.TAKE_BACK),
        taken_back_owed=-sum(
            each.changes.get(OWED, 0) for each in inside if each.kind is TransferKind.TAKE_BACK
        ),
        parts=Parts(standing(AVAILABLE), standing(HELD), -standing(OWED)),
        spent=sum(each.changes.get(SPENT, 0) for each in inside),
    )


def _charges(inside: list[Movement]) -> tuple[ModelCharge, ...]:
    found: dict[str, list[Movement]] = defaultdict(list)
    for each in inside:
        if each.model is not None:
            found[each.model].append(each)
    return tuple(
        ModelCharge(
            model, len(charged), sum(each.images for each in charged), sum(each.amount for each in charged)
        )
        for model, charged in sorted(found.items())
    )


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_a_random_history_is_in_its_months_once_and_every_statement_adds_up(
    statements: PostgresBooks, owner: asyncpg.Connection, tenant_id: str, seed: int
) -> None:
    rng = seeded(seed)
    moments = random_moments(rng, EDGES, MOVEMENTS)
    if seed % 2:  # as the start of a transaction that waited for its turn, or a clock that was set back
        moments = [at - rng.choice((0, 0, 1)) * timedelta(seconds=rng.random() * 20) for at in moments]
    books = random_books(rng, tenant_id, moments)
    await books.write(owner)

    first = month_of(min(moments).astimezone(UTC).date())
    months = [month for month in (date(2025, 10, 1), *MONTHS) if month >= first]
    read = [await statements.read_statement(tenant_id, month) for month in months]

    assert read == [by_hand(books, month) for month in months]
    assert [each.adds_up for each in read] == [True] * len(read)
    # No gap between two months, and nothing twice.
    assert [after.opening for _, after in pairwise(read)] == [before.closing for before, _ in pairwise(read)]
    assert read[0].opening == 0
    assert read[-1].parts == Parts(books.balances[AVAILABLE], books.balances[HELD], -books.balances[OWED])
    assert sum(each.charged for each in read) == books.balances[SPENT]


async def test_what_is_wrong_in_one_record_shows(
    statements: PostgresBooks, owner: asyncpg.Connection, tenant_id: str
) -> None:
    books = random_books(seeded(7), tenant_id, random_moments(seeded(7), EDGES, MOVEMENTS))
    await books.write(owner)
    assert (await statements.read_statement(tenant_id, JANUARY)).adds_up

    lost = "UPDATE usage_days SET charged_credits = charged_credits - 1 WHERE tenant_id = $1 AND day >= $2"
    await owner.execute(lost, tenant_id, JANUARY)
    assert not (await statements.read_statement(tenant_id, JANUARY)).adds_up
    await owner.execute(lost.replace("- 1", "+ 1"), tenant_id, JANUARY)
    assert (await statements.read_statement(tenant_id, JANUARY)).adds_up

    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute(
            "INSERT INTO transfers (id, tenant_id, kind, amount_credits, created_at)"
            " VALUES ($1, $2, 'grant', 1, $3)",
            new_id("tra"),
            tenant_id,
            start_of(JANUARY),
        )
    assert not (await statements.read_statement(tenant_id, JANUARY)).adds_up
    assert (await statements.read_statement(tenant_id, MONTHS[1])).adds_up


async def test_the_edge_of_a_month_is_midnight_in_utc(
    statements: PostgresBooks, owner: asyncpg.Connection, tenant_id: str
) -> None:
    books, midnight = PastBooks(tenant_id), start_of(JANUARY)
    for at, amount in (
        (midnight - timedelta(microseconds=1), 1),
        (midnight, 10),
        (start_of(MONTHS[3]) - timedelta(microseconds=1), 100),
        (start_of(MONTHS[3]), 1000),
    ):
        books.move(TransferKind.GRANT, at, amount, {AVAILABLE: amount, ISSUED: -amount}, category="paid")
    await books.write(owner)

    read = [await statements.read_statement(tenant_id, month) for month in MONTHS[1:4]]
    assert [(each.opening, each.granted_paid, each.closing) for each in read] == [
        (0, 1, 1),
        (1, 110, 111),
        (111, 1000, 1111),
    ]


async def test_a_month_without_movements_is_as_the_one_before(
    statements: PostgresBooks, owner: asyncpg.Connection, tenant_id: str
) -> None:
    books = PastBooks(tenant_id)
    books.move(TransferKind.GRANT, EDGES[0], 5, {AVAILABLE: 5, ISSUED: -5}, category="paid")
    await books.write(owner)
    quiet = await statements.read_statement(tenant_id, JANUARY)
    assert (quiet.opening, quiet.closing, quiet.charges, quiet.adds_up) == (5, 5, (), True)
    long_before = await statements.read_statement(tenant_id, date(2001, 1, 1))
    assert (long_before.opening, long_before.closing, long_before.adds_up) == (0, 0, True)


async def test_a_month_that_goes_on_is_not_final_and_one_to_come_is_refused(
    statements: PostgresBooks, tenant_id: str
) -> None:
    today = datetime.now(UTC).date()
    assert not (await statements.read_statement(tenant_id, month_of(today))).is_final
    later = next_month(next_month(month_of(today)))
    with pytest.raises(InvalidInput, match="one that has begun"):
        await statements.read_statement(tenant_id, later)
    with pytest.raises(TenantNotFound):
        await statements.read_statement(new_id("ten"), JANUARY)


async def test_the_months_are_listed_from_the_first_movement(
    statements: PostgresBooks, owner: asyncpg.Connection, tenant_id: str
) -> None:
    today = datetime.now(UTC).date()
    [only] = await statements.list_months(tenant_id, before=None, limit=10)
    assert (only.month, only.is_final) == (month_of(today), False)
    books = PastBooks(tenant_id)
    books.move(TransferKind.GRANT, EDGES[0], 5, {AVAILABLE: 5, ISSUED: -5})
    await books.write(owner)

    pages = [await statements.list_months(tenant_id, before=None, limit=3)]
    while len(pages[-1]) == 3:
        pages.append(await statements.list_months(tenant_id, before=pages[-1][-1].month, limit=3))
    months = [line.month for page in pages for line in page]
    assert (months[0], months[-1]) == (month_of(today), MONTHS[0])
    assert months == sorted(set(months), reverse=True)
    assert all(next_month(older) == newer for newer, older in pairwise(months))
    with pytest.raises(TenantNotFound):
        await statements.list_months(new_id("ten"), before=None, limit=1)


async def _whole(
    statements: PostgresBooks, tenant_id: str, wanted: UsageQuery, limit: int
) -> list[UsageLine]:
    found: list[UsageLine] = []
    while True:
        after = found[-1] if found else None
        page = await statements.list_usage(tenant_id, wanted, after=after, limit=limit)
        found += page
        if len(page) < limit:
            return found


GROUPINGS = [groups for size in range(4) for groups in combinations(UsageGroup, size)]


@pytest.mark.parametrize("groups", GROUPINGS, ids=lambda groups: ",".join(groups) or "none")
async def test_usage_adds_up_to_the_same_in_every_grouping(
    statements: PostgresBooks, owner: asyncpg.Connection, tenant_id: str, groups: tuple[UsageGroup, ...]
) -> None:
    rng = seeded(3)
    books = random_books(rng, tenant_id, random_moments(rng, EDGES, 2 * MOVEMENTS))
    await books.write(owner)
    first, last = date(2025, 12, 1), date(2026, 2, 3)
    found = await _whole(statements, tenant_id, UsageQuery(first, last, groups), limit=2 if groups else 10)

    expected: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for each in books.movements:
        if each.model is not None and first <= each.at.date() <= last:
            values = (each.at.date(), each.model, each.key_id)
            group = tuple(
                value if name in groups else None for name, value in zip(UsageGroup, values, strict=True)
            )
            expected[group] = [
                sum(pair) for pair in zip(expected[group], (1, each.images, each.amount), strict=True)
            ]
    sums = {
        (line.day, line.model, line.key_id): [line.generations, line.images, line.charged_credits]
        for line in found
    }
    assert sums == expected
    assert len(sums) == len(found)
    assert sum(line.generations for line in found) > 20


async def test_usage_of_nobody_is_nothing(statements: PostgresBooks) -> None:
    wanted = UsageQuery(MONTHS[0], MONTHS[1])
    [line] = await statements.list_usage(new_id("ten"), wanted, after=None, limit=10)
    assert line == UsageLine(None, None, None, 0, 0, 0)
