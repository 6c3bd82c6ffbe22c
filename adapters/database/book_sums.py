"""Adds up the entries of accounts and of lots, page by page, so that no statement reads them all.

A mark is how far a subject was added up. It may be taken at any time: entries never change, and whoever
writes one has the tenant's account locked, so those of one account or lot are committed in the order of
their ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.books import BookCheck, BookMark, Disagreement

Marks = dict[str, BookMark]

_MARKS = """
    unnest(
        CAST(:marked AS text[]), CAST(:entry_ids AS bigint[]),
        CAST(:credits AS bigint[]), CAST(:held AS bigint[])
    ) AS mark (subject, entry_id, credits, held_credits)
"""
_ACCOUNTS = text(f"""
SELECT accounts.id AS subject, accounts.tenant_id, balance_credits AS credits, 0 AS held_credits,
    coalesce(last.balance_after, 0) AS last_balance, next.entries,
    coalesce(next.last_id, mark.entry_id, 0) AS entry_id,
    coalesce(mark.credits, 0) + next.credits AS sum_credits, 0 AS sum_held
FROM accounts LEFT JOIN {_MARKS} ON mark.subject = accounts.id
CROSS JOIN LATERAL (
    SELECT count(*) AS entries, coalesce(sum(amount_credits), 0) AS credits, max(id) AS last_id FROM (
        SELECT id, amount_credits FROM entries
        WHERE account_id = accounts.id AND id > coalesce(mark.entry_id, 0) ORDER BY id LIMIT :limit
    ) AS page
) AS next
LEFT JOIN LATERAL (
    SELECT balance_after FROM entries WHERE account_id = accounts.id ORDER BY id DESC LIMIT 1
) AS last ON true
WHERE accounts.tenant_id = ANY (CAST(:tenants AS text[]))
    AND (CAST(:only AS text) IS NULL OR accounts.id = :only)
ORDER BY accounts.id
""")  # noqa: S608 - constants
# The same pages of the same entries: of their transfers, those that are wrong.
_TRANSFERS = text(f"""
SELECT DISTINCT accounts.id AS account_id, accounts.tenant_id, page.transfer_id, whole.credits,
    coalesce(resolved.times, 1) AS resolutions
FROM accounts LEFT JOIN {_MARKS} ON mark.subject = accounts.id
CROSS JOIN LATERAL (
    SELECT transfer_id FROM entries
    WHERE account_id = accounts.id AND id > coalesce(mark.entry_id, 0) ORDER BY id LIMIT :limit
) AS page
JOIN transfers ON transfers.id = page.transfer_id
CROSS JOIN LATERAL (
    SELECT sum(amount_credits) AS credits FROM entries WHERE entries.transfer_id = page.transfer_id
) AS whole
LEFT JOIN LATERAL (
    SELECT count(*) AS times FROM transfers AS other
    WHERE other.hold_id = transfers.hold_id AND other.kind <> 'hold'
) AS resolved ON transfers.kind IN ('settle', 'refund', 'expire')
WHERE accounts.tenant_id = ANY (CAST(:tenants AS text[]))
    AND (CAST(:only AS text) IS NULL OR accounts.id = :only)
    AND (whole.credits <> 0 OR resolved.times > 1)
LIMIT 1000
""")  # noqa: S608 - constants
# Closed ones for some more days: they were spent since the last check. They are never changed after that.
_LOTS = text(f"""
SELECT lots.id AS subject, lots.tenant_id, remaining_credits AS credits, lots.held_credits,
    NULL AS last_balance, next.entries,
    coalesce(next.last_id, mark.entry_id, 0) AS entry_id,
    coalesce(mark.credits, 0) + next.credits AS sum_credits,
    coalesce(mark.held_credits, 0) + next.held_credits AS sum_held
FROM (
    SELECT * FROM lots WHERE tenant_id = ANY (CAST(:tenants AS text[]))
        AND (:whole OR closed_at IS NULL OR closed_at > now() - interval '3 days')
        AND id > :after AND (CAST(:only AS text) IS NULL OR id = :only) ORDER BY id LIMIT :lots
) AS lots LEFT JOIN {_MARKS} ON mark.subject = lots.id
CROSS JOIN LATERAL (
    SELECT count(*) AS entries, coalesce(sum(remaining_change), 0) AS credits,
        coalesce(sum(held_change), 0) AS held_credits, max(id) AS last_id
    FROM (
        SELECT id, remaining_change, held_change FROM lot_entries
        WHERE lot_id = lots.id AND id > coalesce(mark.entry_id, 0) ORDER BY id LIMIT :limit
    ) AS page
) AS next
ORDER BY lots.id
""")  # noqa: S608 - constants
_LOTS_AT_ONCE = 200


@dataclass(frozen=True)
class Sum:
    """What a subject says, and the sum of its entries as far as they were read.

    is_cut: Whether there are more. last_balance: what the last entry says; None for a lot.
    """

    subject: str
    tenant_id: str
    credits: int
    held_credits: int
    last_balance: int | None
    mark: BookMark
    is_cut: bool

    def disagreements(self) -> list[Disagreement]:
        """Compare both. Only for one that was read to its end, in the same snapshot."""
        is_lot = self.last_balance is None
        pairs = [
            (BookCheck.LOT if is_lot else BookCheck.BALANCE, self.credits, self.mark.credits),
            (BookCheck.LOT, self.held_credits, self.mark.held_credits),
        ]
        if self.last_balance is not None:
            pairs.append((BookCheck.LAST_ENTRY, self.credits, self.last_balance))
        return [
            Disagreement(check, self.tenant_id, self.subject, expected, found)
            for check, expected, found in pairs
            if expected != found
        ]


async def sum_accounts(
    session: AsyncSession, tenants: Sequence[str], marks: Marks, *, limit: int, only: str | None = None
) -> list[Sum]:
    """Add up the next `limit` entries of each account after its mark. only: of one account."""
    values = {"tenants": list(tenants), "only": only, "limit": limit, **_mark_values(marks)}
    return [_sum(row, limit) for row in await session.execute(_ACCOUNTS, values)]


async def wrong_transfers(
    session: AsyncSession, tenants: Sequence[str], marks: Marks, *, limit: int, only: str | None = None
) -> dict[str, list[Disagreement]]:
    """Return what is wrong with the transfers of the same entries, by account."""
    values = {"tenants": list(tenants), "only": only, "limit": limit, **_mark_values(marks)}
    found: dict[str, list[Disagreement]] = {}
    for account_id, tenant_id, transfer_id, credits, resolutions in await session.execute(_TRANSFERS, values):
        of_account = found.setdefault(account_id, [])
        if credits != 0:
            of_account.append(Disagreement(BookCheck.TRANSFER, tenant_id, transfer_id, 0, int(credits)))
        if resolutions != 1:
            of_account.append(Disagreement(BookCheck.RESOLUTION, tenant_id, transfer_id, 1, resolutions))
    return found


async def sum_lots(
    session: AsyncSession,
    tenants: Sequence[str],
    marks: Marks,
    *,
    limit: int,
    whole: bool,
    only: str | None = None,
) -> list[Sum]:
    """Add up the next `limit` entries of each lot after its mark. whole: of those closed long ago too."""
    found: list[Sum] = []
    values = {"tenants": list(tenants), "whole": whole, "only": only, "limit": limit, "lots": _LOTS_AT_ONCE}
    after = ""
    while True:
        rows = (await session.execute(_LOTS, {**values, "after": after, **_mark_values(marks)})).all()
        found += [_sum(row, limit) for row in rows]
        if len(rows) < _LOTS_AT_ONCE:
            return found
        after = rows[-1].subject


def _sum(row: Any, limit: int) -> Sum:
    mark = BookMark(row.entry_id, int(row.sum_credits), int(row.sum_held))
    is_cut = row.entries >= limit
    return Sum(row.subject, row.tenant_id, row.credits, row.held_credits, row.last_balance, mark, is_cut)


def _mark_values(marks: Mapping[str, BookMark]) -> dict[str, Any]:
    return {
        "marked": list(marks),
        "entry_ids": [mark.entry_id for mark in marks.values()],
        "credits": [mark.credits for mark in marks.values()],
        "held": [mark.held_credits for mark in marks.values()],
    }
