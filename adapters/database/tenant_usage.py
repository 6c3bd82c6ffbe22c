"""What counts against a tenant's limits, each read by an index of its own and no further than needed."""

from sqlalchemy import text

from adapters.database.engine import Database
from domain.tenant import FileUsage, TenantUsage

_USAGE = text("""
SELECT spendable_credits(:tenant) AS available,
    (SELECT extract(epoch FROM min(expires_at) - clock_timestamp()) FROM lots
        WHERE tenant_id = :tenant AND closed_at IS NULL AND expires_at > now()
    )::double precision AS expiry_seconds,
    (SELECT count(*) FROM (
        SELECT 1 FROM generations WHERE tenant_id = :tenant AND status = 'processing'
            AND deleted_at IS NULL LIMIT :cap) AS busy
    ) AS processing,
    (SELECT count(*) FROM (
        SELECT 1 FROM generations WHERE tenant_id = :tenant AND status IN ('created', 'queued')
            AND deleted_at IS NULL LIMIT :cap
    ) AS idle) AS waiting,
    (SELECT sum(price_credits) FROM uncharged_costs
        WHERE tenant_id = :tenant AND day = (now() AT TIME ZONE 'UTC')::date) AS uncharged
""")
_FILES = text("""
SELECT count(*) AS files, coalesce(sum(size_bytes), 0) AS size_bytes FROM (
    SELECT size_bytes FROM input_files WHERE tenant_id = :tenant AND expires_at > now() LIMIT :cap
) AS kept
""")


class PostgresTenantUsages:
    """Reads the usage of one tenant in one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_usage(self, tenant_id: str, *, max_generations: int) -> TenantUsage:
        [row] = await self._database.call(_USAGE, {"tenant": tenant_id, "cap": max_generations + 1})
        return TenantUsage(
            row.available or 0,
            row.processing + row.waiting,
            row.waiting,
            int(row.uncharged or 0),
            row.expiry_seconds,
        )

    async def read_file_usage(self, tenant_id: str, *, max_files: int) -> FileUsage:
        [row] = await self._database.call(_FILES, {"tenant": tenant_id, "cap": max_files + 1})
        return FileUsage(row.files, int(row.size_bytes))
