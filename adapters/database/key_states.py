"""Which of the keys and tenants whose streams are open would be refused now."""

from collections.abc import Collection, Mapping

from sqlalchemy import text

from adapters.database.engine import Database
from domain.errors import ServiceError, TenantSuspended, Unauthenticated

# By primary keys, whose states are read as they are: a window of what was revoked lately would miss what was
# committed late.
_REFUSED = text("""
SELECT id, false AS is_suspended FROM api_keys
WHERE id = ANY (CAST(:keys AS text[])) AND (revoked_at IS NOT NULL OR expires_at <= now())
UNION ALL
SELECT id, true FROM tenants WHERE id = ANY (CAST(:tenants AS text[])) AND suspended_at IS NOT NULL
""")


class PostgresKeyStates:
    """Reads the states of keys and tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refused(
        self, key_ids: Collection[str], tenant_ids: Collection[str]
    ) -> Mapping[str, ServiceError]:
        values = {"keys": list(key_ids), "tenants": list(tenant_ids)}
        found = await self._database.call(_REFUSED, values)
        return {row.id: TenantSuspended() if row.is_suspended else Unauthenticated() for row in found}
