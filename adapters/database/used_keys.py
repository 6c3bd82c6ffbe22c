"""Idempotency keys that have made a generation."""

from collections.abc import Collection

from sqlalchemy import text

from adapters.database.engine import Database

_USED = text("""
SELECT idempotency_key FROM generations
WHERE tenant_id = :tenant AND idempotency_key = ANY (CAST(:keys AS text[]))
""")


class PostgresUsedKeys:
    """Finds many at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_used_keys(self, tenant_id: str, keys: Collection[str]) -> Collection[str]:
        if not keys:
            return ()
        rows = await self._database.call(_USED, {"tenant": tenant_id, "keys": sorted(keys)})
        return [row.idempotency_key for row in rows]
