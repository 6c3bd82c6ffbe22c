"""Reading a provider's queue: who is next, and how far back an attempt stands.

The next free slot goes to the tenant that has the fewest, counting its own queue in order: a tenant with 500
jobs and one with a single job take turns. A queue is never read as a whole. `_TENANTS` hops over the index
from one waiting tenant (and model) to the next, and of each only as many rows are read as there are slots to
give away, or places to count. So the cost grows with the tenants that wait, not with their jobs.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ports import QueuePosition
from domain.provider import AttemptRef

# What is counted at most for a position; beyond, it is a lower bound.
MAX_COUNTED = 1000
_MAX_TENANTS_COUNTED = 200
_SPARE = 10

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
# No row that another transaction is about to delete is waited for: two grants at two providers would wait for
# each other, if each has removed an attempt from the queue of the other. It is passed over, so a few more are
# looked at than there are slots.
_GRANT = f"""
WITH RECURSIVE {_TENANTS}, candidates AS (
    SELECT first.*, coalesce(taken.slots, 0) + row_number() OVER (
        PARTITION BY tenant_id ORDER BY first.requested_at, first.generation_id) AS turn
    FROM tenants CROSS JOIN LATERAL (
        SELECT generation_id, requested_at, pushbacks FROM provider_slots AS slot
        WHERE {_WAITING} AND slot.endpoint = tenants.endpoint AND slot.tenant_id = tenants.tenant_id
        ORDER BY requested_at, generation_id LIMIT CAST(:free AS bigint) + {_SPARE}
    ) AS first LEFT JOIN taken USING (tenant_id)
    WHERE tenants.endpoint <> ALL (CAST(:closed AS text[]))
        AND CAST(:only AS text) IN ('', tenants.endpoint)
), chosen AS (
    SELECT generation_id, row_number() OVER (
        ORDER BY CASE WHEN CAST(:as_probe AS boolean) THEN pushbacks ELSE 0 END,
            turn, requested_at, generation_id) AS place
    FROM candidates ORDER BY place LIMIT CAST(:free AS bigint) + {_SPARE}
), locked AS (
    SELECT slot.generation_id FROM chosen JOIN provider_slots AS slot USING (generation_id)
    WHERE slot.granted_at IS NULL
    ORDER BY place LIMIT CAST(:free AS bigint) FOR UPDATE OF slot SKIP LOCKED
)
UPDATE provider_slots SET granted_at = clock_timestamp(), not_before = NULL
WHERE generation_id = ANY (ARRAY(SELECT generation_id FROM locked)) AND granted_at IS NULL
RETURNING generation_id, ordinal
"""  # noqa: S608 - all parts are constants
_IN_USE = "SELECT count(*) FROM provider_slots WHERE provider = :provider AND granted_at IS NOT NULL"
_OWN = """
SELECT provider, tenant_id, requested_at, pushback_code,
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
                AND (requested_at, generation_id) < (CAST(:requested_at AS timestamptz), :generation_id)
            LIMIT {MAX_COUNTED}
        ) AS own WHERE counted.tenant_id = :tenant_id LIMIT {MAX_COUNTED}
    ) AS earlier_jobs
), own AS (
    SELECT 1 + jobs + coalesce((SELECT slots FROM taken WHERE tenant_id = :tenant_id), 0) AS turn FROM earlier
), queue AS (
    SELECT counted.tenant_id, first.* FROM counted CROSS JOIN LATERAL (
        SELECT requested_at, generation_id FROM provider_slots AS slot
        WHERE {_WAITING} AND slot.endpoint = counted.endpoint AND slot.tenant_id = counted.tenant_id
        ORDER BY requested_at, generation_id LIMIT (SELECT least(turn, {MAX_COUNTED}) FROM own)
    ) AS first LIMIT {2 * MAX_COUNTED}
), turns AS (
    SELECT queue.*, coalesce(taken.slots, 0) + row_number() OVER (
        PARTITION BY tenant_id ORDER BY requested_at, generation_id) AS turn
    FROM queue LEFT JOIN taken USING (tenant_id)
)
SELECT (SELECT count(*) FROM turns, own
        WHERE (turns.turn, turns.requested_at, turns.generation_id)
            < (own.turn, CAST(:requested_at AS timestamptz), :generation_id)) AS ahead,
       (SELECT count(*) FROM counted) < {_MAX_TENANTS_COUNTED}
           AND (SELECT jobs FROM earlier) < {MAX_COUNTED}
           AND (SELECT count(*) FROM queue) < {2 * MAX_COUNTED} AS is_exact
"""  # noqa: S608 - all parts are constants


async def grant(
    session: AsyncSession,
    provider: str,
    slots: int,
    *,
    closed: list[str],
    only: str = "",
    most: int,
    as_probe: bool = False,
) -> list[AttemptRef]:
    """Grant free slots, at most `most`; the provider's row must be locked.

    closed: endpoints whose jobs are passed over. only: the one endpoint whose jobs count, if not empty.
    as_probe: prefer those that were pushed back least.
    """
    in_use = await session.scalar(text(_IN_USE), {"provider": provider})
    free = min(most, slots - int(in_use or 0))
    if free <= 0:
        return []
    values = {"provider": provider, "free": free, "closed": closed, "only": only, "as_probe": as_probe}
    return [AttemptRef(*found) for found in await session.execute(text(_GRANT), values)]


async def position(session: AsyncSession, generation_id: str) -> QueuePosition | None:
    """Return where a waiting generation stands; None for one that does not wait."""
    found = (await session.execute(text(_OWN), {"generation_id": generation_id})).one_or_none()
    if found is None:
        return None
    values = {
        "generation_id": generation_id,
        "provider": found.provider,
        "tenant_id": found.tenant_id,
        "requested_at": found.requested_at,
    }
    counted = (await session.execute(text(_AHEAD), values)).one()
    pause_seconds = None if found.pause_seconds is None else float(found.pause_seconds)
    return QueuePosition(
        found.requested_at, counted.ahead, counted.is_exact, found.pushback_code, pause_seconds
    )
