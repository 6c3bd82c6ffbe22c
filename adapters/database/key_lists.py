"""API keys as they are shown, with what they spent. Never a secret, nor its hash."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, text

from adapters.database.engine import Database
from domain.auth import Scope
from domain.errors import ApiKeyNotFound
from domain.key_budgets import KeySpending, KeyUsage
from domain.keys import KeyPosition, KeyPowers, ManagedKey

# What a key spent, with the month that the database's clock says.
SPENDING = """
(SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month) AS this CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(charged_credits) FILTER (WHERE each.month = this.month), 0)::bigint AS charged_credits,
        coalesce(sum(held_credits) FILTER (WHERE each.month = this.month), 0)::bigint AS held_credits,
        coalesce(sum(held_credits), 0)::bigint AS all_held_credits
    FROM key_spending AS each WHERE each.api_key_id = {key}
) AS spent
"""
_COLUMNS = """
SELECT k.id, k.name, k.scopes, k.limits, k.expires_at, k.monthly_budget_credits, k.max_held_credits,
    k.created_at, k.created_by, k.last_used_at, k.revoked_at, this.month, spent.*
"""
_FROM = f"FROM api_keys AS k CROSS JOIN {SPENDING.format(key='k.id')} WHERE k.tenant_id = :tenant"
_ONE = text(f"{_COLUMNS} {_FROM} AND k.id = :id")
_PAGE = text(f"""
{_COLUMNS} {_FROM}
    AND (
        CAST(:after_id AS text) IS NULL
        OR (k.created_at, k.id) < (CAST(:created_at AS timestamptz), :after_id)
    )
ORDER BY k.created_at DESC, k.id DESC LIMIT :limit
""")
# Until its price is held, a generation is `created`.
_USAGE = text(f"""
SELECT this.month, spent.*,
    (SELECT coalesce(sum(price_credits), 0) FROM generations
        WHERE tenant_id = :tenant AND status = 'created' AND deleted_at IS NULL AND api_key_id = :key
    )::bigint AS accepted_credits,
    extract(epoch FROM (this.month + interval '1 month') AT TIME ZONE 'UTC' - now())::double precision
        AS month_left_seconds
FROM {SPENDING.format(key=":key")}
""")  # noqa: S608 - constants


class PostgresKeyLists:
    """Reads the keys of tenants, and what counts against their caps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_key(self, tenant_id: str, key_id: str) -> ManagedKey:
        found = await self._database.call(_ONE, {"tenant": tenant_id, "id": key_id})
        if not found:
            raise ApiKeyNotFound
        return _key(found[0])

    async def list_keys(
        self, tenant_id: str, *, after: KeyPosition | None, limit: int
    ) -> Sequence[ManagedKey]:
        values: Mapping[str, Any] = {
            "tenant": tenant_id,
            "after_id": after.id if after is not None else None,
            "created_at": after.created_at if after is not None else None,
            "limit": limit,
        }
        return [_key(row) for row in await self._database.call(_PAGE, values)]

    async def read_key_usage(self, tenant_id: str, key_id: str) -> KeyUsage:
        [row] = await self._database.call(_USAGE, {"tenant": tenant_id, "key": key_id})
        return KeyUsage(_spending(row), row.accepted_credits, row.month_left_seconds)


def scopes_of(stored: Sequence[str]) -> frozenset[str]:
    """Return the scopes that this version knows."""
    return frozenset(scope for scope in Scope if scope in stored)


def _key(row: Row[Any]) -> ManagedKey:
    powers = KeyPowers(
        scopes_of(row.scopes), row.expires_at, row.limits, row.monthly_budget_credits, row.max_held_credits
    )
    return ManagedKey(
        row.id,
        row.name,
        powers,
        _spending(row),
        row.created_at,
        row.created_by,
        row.last_used_at,
        row.revoked_at,
    )


def _spending(row: Row[Any]) -> KeySpending:
    return KeySpending(row.month, row.charged_credits, row.held_credits, row.all_held_credits)
