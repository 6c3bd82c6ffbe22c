"""Erasing what belongs to a client in its batches: names of items, metadata, keys. Counts and costs stay."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database.tables.columns import TERMINAL

# Each may have tens of thousands of items.
_MAX_BATCHES = 10
# What an item holds of its generation: that is erased, or deleted. By one index each.
ERASE_ITEMS = tuple(
    f"""
UPDATE batch_items SET custom_id = NULL, error_text = NULL
WHERE generation_id = ANY (CAST(:ids AS text[])) AND {which} AND custom_id IS NOT NULL
"""  # noqa: S608 - constants
    for which in ("is_attached", "NOT is_attached")
)
CLOSE_BATCHES = f"""
UPDATE batches SET status = 'canceling', cancel_requested_at = now()
WHERE tenant_id = :tenant AND status NOT IN {TERMINAL} AND cancel_requested_at IS NULL
"""  # noqa: S608 - a constant
HAS_BATCHES_LEFT = """
EXISTS (SELECT 1 FROM batches WHERE tenant_id = :tenant AND (finished_at IS NULL OR fingerprint <> ''))
"""
_DUE = text("""
SELECT b.id
FROM (
    SELECT id, CASE WHEN retention_days ? 'content' THEN CAST(retention_days ->> 'content' AS float8)
        ELSE CAST(:days AS float8) END AS days
    FROM tenants
) AS t
CROSS JOIN LATERAL (
    SELECT id FROM batches
    WHERE tenant_id = t.id AND finished_at IS NOT NULL AND content_erased_at IS NULL
        AND finished_at < now() - make_interval(secs => t.days * 86400)
    ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
) AS b
WHERE t.days IS NOT NULL LIMIT :limit
""")
_OF_TENANT = text("""
SELECT id FROM batches WHERE tenant_id = :tenant AND finished_at IS NOT NULL AND fingerprint <> ''
ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_ERASE = (
    text("""
UPDATE batches SET metadata = '{}', errors = '[]', content_erased_at = coalesce(content_erased_at, now())
WHERE id = ANY (CAST(:ids AS text[]))
"""),
    text("""
UPDATE batch_items SET custom_id = NULL, error_text = NULL
WHERE batch_id = ANY (CAST(:ids AS text[])) AND (custom_id IS NOT NULL OR error_text IS NOT NULL)
"""),
)
_FORGET_KEYS = (
    text("""
UPDATE batches SET idempotency_key = NULL, fingerprint = '' WHERE id = ANY (CAST(:ids AS text[]))
"""),
    text("""
UPDATE batch_items SET idempotency_key = NULL
WHERE batch_id = ANY (CAST(:ids AS text[])) AND idempotency_key IS NOT NULL
"""),
)


async def erase_due_batches(session: AsyncSession, days: float | None, limit: int) -> int:
    """Erase the content of batches that ended so long ago, or as their tenant has it; return how many."""
    values = {"days": days, "limit": min(limit, _MAX_BATCHES)}
    ids = list(await session.scalars(_DUE, values))
    for statement in _ERASE if ids else ():
        await session.execute(statement, {"ids": ids})
    return len(ids)


async def erase_batches(session: AsyncSession, tenant_id: str, limit: int) -> int:
    """Erase some of a tenant's batches that have ended; return how many."""
    ids = list(await session.scalars(_OF_TENANT, {"tenant": tenant_id, "limit": min(limit, _MAX_BATCHES)}))
    for statement in (*_ERASE, *_FORGET_KEYS) if ids else ():
        await session.execute(statement, {"ids": ids})
    return len(ids)
