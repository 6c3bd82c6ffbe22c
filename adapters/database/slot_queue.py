"""Where an attempt stands in its provider's queue: how many come first, in the order of `choose_next`.

Of each tenant that waits only as many rows are read as there are places to count.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ports import QueuePosition

# What is counted at most for a position; beyond, it is a lower bound.
MAX_COUNTED = 1000
_MAX_TENANTS_COUNTED = 200

_WAITING = "provider = :provider AND granted_at IS NULL AND not_before IS NULL"
_TENANTS = f"""
tenants AS (
    (SELECT endpoint, tenant_id FROM provider_slots WHERE {_WAITING} ORDER BY endpoint, tenant_id LIMIT 1)
    UNION ALL
    SELECT hop.endpoint, hop.tenant_id FROM tenants CROSS JOIN LATERAL (
        SELECT slot.endpoint, slot.tenant_id FROM provider_slots AS slot
        WHERE {_WAITING} AND (slot.endpoint, slot.tenant_id) > (tenants.endpoint, tenants.tenant_id)
        ORDER BY slot.endpoint, slot.tenant_id LIMIT 1
    ) AS hop
), taken AS (
    SELECT tenant_id, count(*) AS slots FROM provider_slots
    WHERE provider = :provider AND granted_at IS NOT NULL GROUP BY tenant_id
)"""  # noqa: S608 - a constant
_OWN = """
SELECT provider, tenant_id, rank, requested_at, pushback_code,
       greatest(0, extract(epoch FROM not_before - clock_timestamp())) AS pause_seconds
FROM provider_slots WHERE generation_id = :generation_id AND granted_at IS NULL
"""
_AHEAD = f"""
WITH RECURSIVE {_TENANTS}, counted AS (
    SELECT * FROM tenants LIMIT {_MAX_TENANTS_COUNTED}
), earlier AS (
    SELECT count(*) AS jobs FROM (
        SELECT 1 FROM counted CROSS JOIN LATERAL (
            SELECT 1 FROM provider_slots AS slot
            WHERE {_WAITING} AND slot.endpoint = counted.endpoint AND slot.tenant_id = :tenant_id
                AND (rank, requested_at, generation_id)
                    < (CAST(:rank AS bigint), CAST(:requested_at AS timestamptz), :generation_id)
            LIMIT {MAX_COUNTED}
        ) AS own WHERE counted.tenant_id = :tenant_id LIMIT {MAX_COUNTED}
    ) AS earlier_jobs
), own AS (
    SELECT 1 + jobs + coalesce((SELECT slots FROM taken WHERE tenant_id = :tenant_id), 0) AS turn FROM earlier
), queue AS (
    SELECT counted.tenant_id, first.* FROM counted CROSS JOIN LATERAL (
        SELECT rank, requested_at, generation_id FROM provider_slots AS slot
        WHERE {_WAITING} AND slot.endpoint = counted.endpoint AND slot.tenant_id = counted.tenant_id
        ORDER BY rank, requested_at, generation_id LIMIT (SELECT least(turn, {MAX_COUNTED}) FROM own)
    ) AS first LIMIT {2 * MAX_COUNTED}
), turns AS (
    SELECT queue.*, coalesce(taken.slots, 0) + row_number() OVER (
        PARTITION BY tenant_id ORDER BY rank, requested_at, generation_id) AS turn
    FROM queue LEFT JOIN taken USING (tenant_id)
)
SELECT (SELECT count(*) FROM turns, own
        WHERE (turns.turn, turns.requested_at, turns.generation_id)
            < (own.turn, CAST(:requested_at AS timestamptz), :generation_id)) AS ahead,
       (SELECT count(*) FROM counted) < {_MAX_TENANTS_COUNTED}
           AND (SELECT jobs FROM earlier) < {MAX_COUNTED}
           AND (SELECT count(*) FROM queue) < {2 * MAX_COUNTED} AS is_exact
"""  # noqa: S608 - all parts are constants


async def position(session: AsyncSession, generation_id: str) -> QueuePosition | None:
    """Return where a waiting generation stands; None for one that does not wait."""
    found = (await session.execute(text(_OWN), {"generation_id": generation_id})).one_or_none()
    if found is None:
        return None
    values = {
        "generation_id": generation_id,
        "provider": found.provider,
        "tenant_id": found.tenant_id,
        "rank": found.rank,
        "requested_at": found.requested_at,
    }
    counted = (await session.execute(text(_AHEAD), values)).one()
    pause_seconds = None if found.pause_seconds is None else float(found.pause_seconds)
    return QueuePosition(
        found.requested_at, counted.ahead, counted.is_exact, found.pushback_code, pause_seconds
    )
