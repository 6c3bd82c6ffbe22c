"""What providers have charged us, with and without an image to show for it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import text

from adapters.database.engine import Database

# An attempt has delivered if the generation was completed by it: the last one, in time, and without an error.
_COSTS = """
SELECT (a.started_at AT TIME ZONE 'UTC')::date AS day, a.provider, a.cost_unit AS unit, count(*) AS attempts,
       count(*) FILTER (WHERE is_lost) AS undelivered,
       sum(a.cost_amount) AS cost, sum(a.cost_amount) FILTER (WHERE is_lost) AS undelivered_cost
FROM attempts a JOIN generations g ON g.id = a.generation_id
CROSS JOIN LATERAL (
    SELECT g.finished_at IS NOT NULL AND NOT (
        g.status = 'completed' AND a.state <> 'not_sent' AND a.late_at IS NULL AND a.code IS NULL
    ) AS is_lost
) AS d
WHERE a.started_at >= now() - make_interval(days => :days)
GROUP BY day, a.provider, unit ORDER BY day DESC, a.provider, unit LIMIT :limit
"""
_MOST_LINES = 1000


@dataclass(frozen=True)
class CostLine:
    """One provider's day. `unit` is the provider's own measure, None where it tells no cost."""

    day: date
    provider: str
    unit: str | None
    attempts: int
    undelivered: int
    cost: Decimal | None
    undelivered_cost: Decimal | None


async def cost_lines(database: Database, days: int) -> list[CostLine]:
    """The last so many days, newest first; at most 1000 lines."""
    async with database.begin() as session:
        found = await session.execute(text(_COSTS), {"days": days, "limit": _MOST_LINES})
        return [CostLine(**row) for row in found.mappings()]
