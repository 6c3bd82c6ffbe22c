"""Idempotency keys that have made a generation: an item of a batch that has one of them makes none."""

from collections.abc import Collection

from sqlalchemy import text

from adapters.database.engine import Database

_USED = text("""
SELECT idempotency_key FROM generations
WHERE tenant_id = :tenant AND idempotency_key = ANY (CAST(:keys AS text[]))
""")


async def find_used_keys(database: Database, tenant_id: str, keys: Collection[str]) -> Collection[str]:
    """Return those keys that a generation of the tenant has."""
    if not keys:
        return ()
    rows = await database.call(_USED, {"tenant": tenant_id, "keys": sorted(keys)})
    return [row.idempotency_key for row in rows]
