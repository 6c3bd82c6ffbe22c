"""What always holds between a tenant's lots, accounts, holds, keys and days, in this file's own SQL.

Each query returns what does not agree: nothing, if all is well.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Sql = Callable[..., Awaitable[Sequence[Any]]]

_ACCOUNTS = """
SELECT kind, lots, balance FROM (
    SELECT sum(remaining_credits) AS available, sum(held_credits) AS held, -sum(owed_credits) AS owed
    FROM lots WHERE tenant_id = :tenant
) AS lot
CROSS JOIN LATERAL (VALUES ('available', available), ('held', held), ('owed', owed)) AS of_lots (kind, lots)
LEFT JOIN LATERAL (
    SELECT balance_credits AS balance FROM accounts
    WHERE tenant_id = :tenant AND accounts.kind = of_lots.kind
) AS account ON true
WHERE coalesce(lots, 0) <> coalesce(balance, 0)
"""
# A lot is closed when nothing can come of it any more, and not before.
_LOTS = """
SELECT lots.id, remaining_credits, held_credits, owed_credits, closed_at
FROM lots LEFT JOIN lot_entries ON lot_id = lots.id
WHERE tenant_id = :tenant
GROUP BY lots.id
HAVING remaining_credits <> coalesce(sum(remaining_change), 0)
    OR held_credits <> coalesce(sum(held_change), 0)
    OR (closed_at IS NULL) <> (remaining_credits + held_credits + owed_credits > 0)
    OR (expired_at IS NOT NULL OR voided_at IS NOT NULL) AND remaining_credits > 0
    OR least(remaining_credits, held_credits, owed_credits) < 0
"""
# What left a lot went where the kind of the transfer says. What was spent, or withdrawn, before there were
# lots has no entry.
_PARTS = """
SELECT lots.id, part.kind, part.credits,
    -sum(remaining_change + held_change) FILTER (WHERE transfers.kind = part.kind)
FROM lots
CROSS JOIN LATERAL (VALUES
    ('settle', spent_credits), ('expire_lot', expired_credits), ('void_lot', voided_credits),
    ('withdraw', withdrawn_credits), ('take_back', taken_back_credits), ('repay', repaid_credits)
) AS part (kind, credits)
LEFT JOIN lot_entries ON lot_id = lots.id LEFT JOIN transfers ON transfers.id = transfer_id
WHERE lots.tenant_id = :tenant AND NOT (grant_id IS NULL AND part.kind IN ('settle', 'withdraw'))
GROUP BY lots.id, part.kind, part.credits
HAVING part.credits <> coalesce(
    -sum(remaining_change + held_change) FILTER (WHERE transfers.kind = part.kind), 0
)
"""
# Each transfer since there are lots moved as much in lots as in the accounts.
_TRANSFERS = """
SELECT transfers.id, of_accounts.*, of_lots.*
FROM transfers
CROSS JOIN LATERAL (
    SELECT coalesce(sum(entries.amount_credits) FILTER (WHERE accounts.kind = 'available'), 0) AS available,
        coalesce(sum(entries.amount_credits) FILTER (WHERE accounts.kind = 'held'), 0) AS held
    FROM entries JOIN accounts ON accounts.id = account_id WHERE transfer_id = transfers.id
) AS of_accounts
CROSS JOIN LATERAL (
    SELECT coalesce(sum(remaining_change), 0) AS remaining, coalesce(sum(held_change), 0) AS held,
        count(*) AS entries
    FROM lot_entries WHERE transfer_id = transfers.id
) AS of_lots
WHERE transfers.tenant_id = :tenant AND (available <> remaining OR of_accounts.held <> of_lots.held)
    AND (entries > 0 OR transfers.created_at > coalesce(
        (SELECT max(begun_at) FROM lots WHERE tenant_id = :tenant AND grant_id IS NULL), '-infinity'
    ))
"""
_OPEN_HOLDS = """
SELECT hold.id, hold.amount_credits, sum(held_change) FROM transfers AS hold
LEFT JOIN lot_entries ON transfer_id = hold.id
WHERE hold.tenant_id = :tenant AND hold.kind = 'hold'
    AND NOT EXISTS (SELECT FROM transfers WHERE hold_id = hold.id AND kind <> 'hold')
GROUP BY hold.id HAVING hold.amount_credits <> coalesce(sum(held_change), 0)
"""
# What a hold took of a lot, its resolution gave back to that lot, or out of it.
_RESOLVED = """
SELECT hold_id, lot_id, sum(held_change) FROM lot_entries JOIN transfers ON transfers.id = transfer_id
WHERE tenant_id = :tenant AND hold_id IS NOT NULL
    AND EXISTS (
        SELECT FROM transfers AS other WHERE other.hold_id = transfers.hold_id AND other.kind <> 'hold'
    )
GROUP BY hold_id, lot_id HAVING sum(held_change) <> 0
"""
_KEYS = """
SELECT * FROM (
    SELECT api_key_id, date_trunc('month', hold.created_at AT TIME ZONE 'UTC')::date AS month,
        coalesce(sum(hold.amount_credits) FILTER (WHERE finished_at IS NULL), 0) AS held,
        sum(charged_credits) AS charged
    FROM generations JOIN transfers AS hold ON hold.generation_id = generations.id AND hold.kind = 'hold'
    WHERE generations.tenant_id = :tenant AND api_key_id IS NOT NULL GROUP BY 1, 2
) AS jobs
FULL JOIN (
    SELECT * FROM key_spending
    WHERE api_key_id IN (SELECT api_key_id FROM generations WHERE tenant_id = :tenant)
) AS counted USING (api_key_id, month)
WHERE held IS DISTINCT FROM held_credits OR charged IS DISTINCT FROM charged_credits
"""
_DAYS = """
SELECT * FROM (
    SELECT (settle.created_at AT TIME ZONE 'UTC')::date AS day, model, coalesce(api_key_id, '') AS api_key_id,
        count(*) AS settled, sum(settle.amount_credits) AS charged,
        sum(CASE status WHEN 'completed' THEN least(n, (
            SELECT count(*) FROM images WHERE generation_id = generations.id
        )) ELSE 0 END) AS delivered
    FROM transfers AS settle JOIN generations ON generations.id = settle.generation_id
    WHERE settle.tenant_id = :tenant AND settle.kind = 'settle' GROUP BY 1, 2, 3
) AS jobs
FULL JOIN (SELECT * FROM usage_days WHERE tenant_id = :tenant) AS counted USING (day, model, api_key_id)
WHERE settled IS DISTINCT FROM generations OR charged IS DISTINCT FROM charged_credits
    OR delivered IS DISTINCT FROM images
"""
# A payment gives back at most what was granted for it.
_PAYMENTS = """
SELECT payments.reference, granted_credits, sum(applied_credits), sum(owed_credits)
FROM payments JOIN take_backs ON payment_reference = payments.reference
WHERE tenant_id = :tenant GROUP BY payments.reference
HAVING sum(applied_credits) > granted_credits OR sum(owed_credits) > sum(applied_credits)
    OR min(applied_credits) < 0 OR (bool_or(applied_at IS NULL) <> (granted_credits IS NULL))
"""
_CHECKS = {
    "accounts and lots": _ACCOUNTS,
    "lots and their entries": _LOTS,
    "parts of lots": _PARTS,
    "transfers in accounts and in lots": _TRANSFERS,
    "open holds": _OPEN_HOLDS,
    "resolved holds": _RESOLVED,
    "keys": _KEYS,
    "days": _DAYS,
    "payments": _PAYMENTS,
}


async def assert_lots_agree(sql: Sql, tenant_id: str) -> None:
    """Check a tenant's lots against everything that they are part of."""
    found = {name: await sql(query, tenant=tenant_id) for name, query in _CHECKS.items()}
    disagreements = {name: list(rows) for name, rows in found.items() if rows}
    assert not disagreements, disagreements
