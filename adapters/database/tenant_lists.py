"""Tenants and keys as operators list them. Never a secret, nor its hash."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from adapters.database.engine import Database
from adapters.database.key_lists import SPENDING

_MAX_LINES = 1000
_TENANTS = text("""
SELECT t.id AS tenant_id, t.name, t.created_at, t.suspended_at, t.erasure_requested_at, t.erased_at, t.limits,
    t.retention_days,
    (SELECT balance_credits FROM accounts a WHERE a.tenant_id = t.id AND a.kind = 'available')
        AS available_credits,
    (SELECT balance_credits FROM accounts a WHERE a.tenant_id = t.id AND a.kind = 'held') AS held_credits,
    coalesce((SELECT sum(price_credits) FROM uncharged_costs u
        WHERE u.tenant_id = t.id AND u.day = (now() AT TIME ZONE 'UTC')::date), 0)::bigint
        AS uncharged_credits_today
FROM tenants t WHERE t.id > :after ORDER BY t.id LIMIT :limit
""")
_KEYS = text(f"""
SELECT k.id AS key_id, k.name, k.scopes, k.limits, k.monthly_budget_credits, k.max_held_credits,
    spent.charged_credits AS month_charged_credits, spent.held_credits AS month_held_credits,
    spent.all_held_credits AS held_credits,
    k.created_by, k.created_at, k.last_used_at, k.expires_at, k.revoked_at,
    k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true) AS is_valid
FROM api_keys AS k CROSS JOIN {SPENDING.format(key="k.id")}
WHERE k.tenant_id = :tenant ORDER BY k.created_at, k.id LIMIT :limit
""")  # noqa: S608 - constants


@dataclass(frozen=True)
class TenantLine:
    """A tenant. limits, retention_days: what differs from the settings."""

    tenant_id: str
    name: str
    created_at: datetime
    suspended_at: datetime | None
    erasure_requested_at: datetime | None
    erased_at: datetime | None
    limits: dict[str, float]
    retention_days: dict[str, float | None]
    available_credits: int
    held_credits: int
    uncharged_credits_today: int


@dataclass(frozen=True)
class KeyLine:
    """A key; when it was used last is right to a minute.

    month_charged_credits, month_held_credits: Of the holds of this month (UTC), by which its budget goes.
    created_by: The key that made it; None for an operator.
    """

    key_id: str
    name: str
    scopes: list[str]
    limits: dict[str, float]
    monthly_budget_credits: int | None
    max_held_credits: int | None
    month_charged_credits: int
    month_held_credits: int
    held_credits: int
    created_by: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_valid: bool


async def tenant_lines(database: Database, *, after: str = "", limit: int = _MAX_LINES) -> list[TenantLine]:
    """Return tenants with ids above `after`, in their order; at most 1000."""
    async with database.begin() as session:
        found = await session.execute(_TENANTS, {"after": after, "limit": min(limit, _MAX_LINES)})
        return [TenantLine(**row) for row in found.mappings()]


async def key_lines(database: Database, tenant_id: str) -> list[KeyLine]:
    """Return the keys of a tenant, the oldest first, also those that are revoked; at most 1000."""
    async with database.begin() as session:
        found = await session.execute(_KEYS, {"tenant": tenant_id, "limit": _MAX_LINES})
        return [KeyLine(**row) for row in found.mappings()]
