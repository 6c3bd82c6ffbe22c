"""Erasing a tenant's webhooks: deliveries with their attempts, then endpoints with their secrets."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_CLOSE = text("""
UPDATE webhook_endpoints
SET deleted_at = now(), url = '', secret = '', previous_secret = NULL, previous_until = NULL
WHERE tenant_id = :tenant AND deleted_at IS NULL
""")
_DELIVERIES = text("""
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE tenant_id = :tenant ORDER BY id LIMIT :limit
) RETURNING 1
""")
_ENDPOINTS = text("DELETE FROM webhook_endpoints WHERE tenant_id = :tenant RETURNING 1")


async def erase_webhooks(session: AsyncSession, tenant_id: str, limit: int) -> int:
    """Erase a batch; return how many rows went. A workflow that is open finds nothing, and ends."""
    values = {"tenant": tenant_id, "limit": limit}
    await session.execute(_CLOSE, {"tenant": tenant_id})  # so that nothing is made meanwhile
    if deleted := len((await session.execute(_DELIVERIES, values)).all()):
        return deleted
    return len((await session.execute(_ENDPOINTS, {"tenant": tenant_id})).all())
