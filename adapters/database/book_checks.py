"""Compares the books of some tenants at one moment: all that is compared is read in one snapshot.

Steps of jobs that run are whole in it or not at all, so they make nothing disagree, and wait for nothing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.book_sums import Marks, Sum, sum_accounts, sum_lots, wrong_transfers
from adapters.database.engine import Database
from domain.books import BookCheck, BookMark, BooksState, Disagreement

_SNAPSHOT = (
    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
    text("SET LOCAL statement_timeout = '8s'"),
)
# Of one account or lot, in a snapshot with others; and of one alone.
_ENTRIES, _ENTRIES_ALONE = 2000, 20_000
_TENANTS = text("SELECT id FROM tenants WHERE id > :after ORDER BY id LIMIT :limit")
_BALANCES = text("""
WITH lot AS (
    SELECT tenant_id, sum(remaining_credits) AS remaining, sum(held_credits) AS held,
        sum(owed_credits) AS owed
    FROM lots WHERE tenant_id = ANY (CAST(:tenants AS text[])) AND closed_at IS NULL
    GROUP BY tenant_id
), used AS (
    SELECT tenant_id, sum(charged_credits) AS credits FROM usage_days
    WHERE tenant_id = ANY (CAST(:tenants AS text[])) GROUP BY tenant_id
), pairs AS (
    SELECT CASE kind WHEN 'spent' THEN 'usage_days' ELSE kind END AS name,
        accounts.tenant_id, accounts.id AS subject,
        CASE kind WHEN 'owed' THEN -balance_credits ELSE balance_credits END AS expected,
        coalesce(CASE kind
            WHEN 'available' THEN remaining WHEN 'held' THEN held WHEN 'owed' THEN owed ELSE used.credits
        END, 0) AS found
    FROM accounts LEFT JOIN lot USING (tenant_id) LEFT JOIN used USING (tenant_id)
    WHERE tenant_id = ANY (CAST(:tenants AS text[])) AND kind <> 'issued'
    UNION ALL
    -- The account is made when something is owed.
    SELECT 'owed', tenant_id, tenant_id || '\\:owed', 0, owed FROM lot
    WHERE NOT EXISTS (SELECT FROM accounts WHERE id = lot.tenant_id || '\\:owed')
    UNION ALL
    SELECT 'accounts', tenant_id, tenant_id, 0, sum(balance_credits) FROM accounts
    WHERE tenant_id = ANY (CAST(:tenants AS text[])) GROUP BY tenant_id
)
SELECT * FROM pairs WHERE expected <> found LIMIT 1000
""")
# The open generations of a tenant are as many as its limit lets in.
_HOLDS = text("""
WITH hold AS MATERIALIZED (
    SELECT transfers.id, generations.tenant_id, api_key_id, amount_credits AS credits, coalesce((
        SELECT sum(held_change) FROM lot_entries WHERE transfer_id = transfers.id
    ), 0) AS in_lots
    FROM generations JOIN transfers ON transfers.id = generations.id || '\\:hold'
    WHERE generations.tenant_id = ANY (CAST(:tenants AS text[])) AND deleted_at IS NULL
        AND status IN ('created', 'queued', 'processing')
), pairs AS (
    SELECT 'hold' AS name, tenant_id, id AS subject, credits AS expected, in_lots AS found FROM hold
    UNION ALL
    SELECT 'open_holds', accounts.tenant_id, accounts.id, balance_credits, coalesce((
        SELECT sum(credits) FROM hold WHERE hold.tenant_id = accounts.tenant_id
    ), 0)
    FROM accounts WHERE tenant_id = ANY (CAST(:tenants AS text[])) AND kind = 'held'
    UNION ALL
    SELECT 'key_spending', api_keys.tenant_id, api_keys.id, coalesce(of_key.credits, 0), coalesce((
        SELECT sum(held_credits) FROM key_spending WHERE api_key_id = api_keys.id
    ), 0)
    FROM api_keys LEFT JOIN (
        SELECT api_key_id, sum(credits) AS credits FROM hold GROUP BY api_key_id
    ) AS of_key ON of_key.api_key_id = api_keys.id
    WHERE api_keys.tenant_id = ANY (CAST(:tenants AS text[]))
)
SELECT * FROM pairs WHERE expected <> found LIMIT 1000
""")
_LOAD_MARKS = text("""
SELECT book_marks.* FROM accounts JOIN book_marks ON subject = accounts.id
WHERE tenant_id = ANY (CAST(:tenants AS text[]))
UNION ALL
SELECT book_marks.* FROM lots JOIN book_marks ON subject = lots.id
WHERE tenant_id = ANY (CAST(:tenants AS text[]))
    AND (closed_at IS NULL OR closed_at > now() - interval '3 days')
""")
_SAVE_MARKS = text("""
INSERT INTO book_marks (subject, entry_id, credits, held_credits)
SELECT * FROM unnest(
    CAST(:subjects AS text[]), CAST(:entry_ids AS bigint[]),
    CAST(:credits AS bigint[]), CAST(:held AS bigint[])
) AS mark (subject, entry_id, credits, held_credits) ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET
    entry_id = excluded.entry_id, credits = excluded.credits, held_credits = excluded.held_credits
""")
_RECORD = text("""
WITH old AS (DELETE FROM book_checks WHERE checked_at < now() - interval '400 days')
INSERT INTO book_checks (tenants, disagreements) VALUES (:tenants, :disagreements)
""").bindparams(bindparam("disagreements", type_=JSONB))
_STATE = text("""
SELECT last.disagreements, coalesce(extract(epoch FROM now() - coalesce(
    last.checked_at, (SELECT min(created_at) FROM tenants)
)), 0) AS seconds
FROM (VALUES (1)) AS once LEFT JOIN (
    SELECT * FROM book_checks ORDER BY id DESC LIMIT 1
) AS last ON true
""").columns(disagreements=JSONB)


@dataclass
class _Reading:
    """How far the entries of some tenants were added up, and what was found on the way.

    frozen: Accounts whose stored mark stays before a transfer that is wrong, so that it is found again.
    """

    tenants: Sequence[str]
    whole: bool
    marks: Marks
    found: dict[tuple[str, str], Disagreement] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)

    def note(self, wrong: Mapping[str, list[Disagreement]]) -> None:
        self.frozen |= wrong.keys()
        for each in (each for of_account in wrong.values() for each in of_account):
            self.found[each.check, each.subject] = each

    def advance(self, sums: Sequence[Sum]) -> None:
        self.marks.update((each.subject, each.mark) for each in sums)


class PostgresBookChecks:
    """Reads; writes only how far it has read, and what was found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_tenants(self, after: str, limit: int) -> Sequence[str]:
        rows = await self._database.call(_TENANTS, {"after": after, "limit": limit})
        return [row.id for row in rows]

    async def check_tenants(self, tenant_ids: Sequence[str], *, whole: bool = False) -> list[Disagreement]:
        marks = {} if whole else await self._load_marks(tenant_ids)
        reading = _Reading(tenant_ids, whole, marks)
        while True:
            async with self._snapshot() as session:
                sums = await _sums(session, reading)
                others = await _differences(session, tenant_ids)
            cut = [each for each in sums if each.is_cut]
            if not cut:
                break
            for each in cut:
                await self._read_on(reading, each)
        await self._save_marks(reading, [each for each in sums if not each.disagreements()])
        return [*reading.found.values(), *(each for read in sums for each in read.disagreements()), *others]

    async def record_check(self, tenants: int, disagreements: Mapping[str, int]) -> None:
        values = {"tenants": tenants, "disagreements": dict(disagreements)}
        await self._database.call(_RECORD, values)

    async def _read_on(self, reading: _Reading, behind: Sum) -> None:
        """Add up the entries of one account or lot until few are left, in many snapshots."""
        only, is_cut = behind.subject, True
        while is_cut:
            async with self._snapshot() as session:
                if behind.last_balance is None:
                    [read] = await sum_lots(
                        session, reading.tenants, reading.marks, limit=_ENTRIES_ALONE, whole=True, only=only
                    )
                else:
                    page = reading.tenants, reading.marks
                    [read] = await sum_accounts(session, *page, limit=_ENTRIES_ALONE, only=only)
                    reading.note(await wrong_transfers(session, *page, limit=_ENTRIES_ALONE, only=only))
            reading.advance([read])
            is_cut = read.is_cut
            await self._save_marks(reading, [read])

    async def _load_marks(self, tenant_ids: Sequence[str]) -> Marks:
        rows = await self._database.call(_LOAD_MARKS, {"tenants": list(tenant_ids)})
        return {row.subject: BookMark(row.entry_id, row.credits, row.held_credits) for row in rows}

    async def _save_marks(self, reading: _Reading, sums: Sequence[Sum]) -> None:
        kept = [each for each in sums if each.subject not in reading.frozen and not reading.whole]
        if not kept:
            return
        values = {
            "subjects": [each.subject for each in kept],
            "entry_ids": [each.mark.entry_id for each in kept],
            "credits": [each.mark.credits for each in kept],
            "held": [each.mark.held_credits for each in kept],
        }
        await self._database.call(_SAVE_MARKS, values)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncSession]:
        async with self._database.begin() as session:
            for statement in _SNAPSHOT:
                await session.execute(statement)
            yield session


async def books_state(database: Database) -> BooksState:
    """Return what the last check found."""
    [row] = await database.call(_STATE, {})
    found = row.disagreements or {}
    return BooksState({name: int(found.get(name, 0)) for name in BookCheck}, max(0.0, float(row.seconds)))


async def _sums(session: AsyncSession, reading: _Reading) -> list[Sum]:
    tenants, marks = reading.tenants, reading.marks
    accounts = await sum_accounts(session, tenants, marks, limit=_ENTRIES)
    lots = await sum_lots(session, tenants, marks, limit=_ENTRIES, whole=reading.whole)
    reading.note(await wrong_transfers(session, tenants, marks, limit=_ENTRIES))
    return accounts + lots


async def _differences(session: AsyncSession, tenant_ids: Sequence[str]) -> list[Disagreement]:
    rows: list[Any] = []
    for statement in (_BALANCES, _HOLDS):
        rows += (await session.execute(statement, {"tenants": list(tenant_ids)})).all()
    return [
        Disagreement(BookCheck(name), tenant_id, subject, int(expected), int(found))
        for name, tenant_id, subject, expected, found in rows
    ]
