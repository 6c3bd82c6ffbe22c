"""How long a tenant's data is kept, where that differs from the settings."""

from collections.abc import Mapping

from adapters.database.audit import record
from adapters.database.engine import Database
from adapters.database.tables import TenantRow
from adapters.database.tables.columns import NO_KEY_UPDATE
from domain.audit import Actor, AuditAction
from domain.errors import TenantNotFound
from domain.retention import DataKind


async def set_retention(
    database: Database, tenant_id: str, changes: Mapping[DataKind, float | None], *, by: Actor
) -> dict[str, float | None]:
    """Set for how many days kinds of data are kept, None for ever; return all that differs from the settings.

    Raises TenantNotFound.
    """
    async with database.begin() as session:
        row: TenantRow | None = await session.get(TenantRow, tenant_id, with_for_update=NO_KEY_UPDATE)
        if row is None:
            raise TenantNotFound
        row.retention_days = row.retention_days | {kind.value: days for kind, days in changes.items()}
        await record(
            session, by, AuditAction.SET_RETENTION, tenant_id, tenant_id, days=dict(row.retention_days)
        )
        return dict(row.retention_days)
