"""What providers have charged, with and without a delivered image."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import text

from adapters.database.engine import Database

# An attempt has delivered if it completed the generation: it succeeded, in time.
_COSTS = """
SELECT (a.started_at AT TIME ZONE 'UTC')::date AS day, a.provider, a.cost_unit AS unit, count(*) AS attempts,
       count(*) FILTER (WHERE is_lost) AS undelivered,
       sum(a.cost_amount) AS cost, sum(a.cost_amount) FILTER (WHERE is_lost) AS undelivered_cost
FROM attempts a JOIN generations g ON g.id = a.generation_id
CROSS JOIN LATERAL (
    SELECT g.finished_at IS NOT NULL AND NOT (
        g.status = 'completed' AND a.state = 'succeeded' AND a.late_at IS NULL
    ) AS is_lost
) AS d
WHERE a.started_at >= now() - make_interval(days => :days)
GROUP BY day, a.provider, unit ORDER BY day DESC, a.provider, unit LIMIT :limit
"""
_MAX_LINES = 1000


@dataclass(frozen=True)
class CostLine:
    """One provider's day. `unit` is the provider's own, None where it states no cost."""

    day: date
    provider: str
    unit: str | None
    attempts: int
    undelivered: int
    cost: Decimal | None
    undelivered_cost: Decimal | None


async def cost_lines(database: Database, days: int) -> list[CostLine]:
    """Return the last so many days, newest first; at most 1000 lines."""
    async with database.begin() as session:
        found = await session.execute(text(_COSTS), {"days": days, "limit": _MAX_LINES})
        return [CostLine(**row) for row in found.mappings()]
