"""How long the last generations of a model took: one look into an index of its own."""

from sqlalchemy import text

from adapters.database.engine import Database
from domain.durations import MIN_SAMPLES, ModelDurations, Percentiles, Phase

_MAX_SAMPLES = 200
# The last attempt is the one that brought the images. A synchronous provider is at work within its submit, so
# that the moment of `processing` does not tell its queue from its work; the start of the submit does.
_MEASURE = text("""
    WITH last AS (
        SELECT id, created_at, queued_at, storing_at, finished_at FROM generations
        WHERE model = :model AND status = 'completed' ORDER BY finished_at DESC LIMIT :samples
    ), seconds AS (
        SELECT phase, greatest(0, extract(epoch FROM duration))::double precision AS value
        FROM last CROSS JOIN LATERAL (
            SELECT started_at FROM attempts WHERE generation_id = last.id ORDER BY ordinal DESC LIMIT 1
        ) AS attempt CROSS JOIN LATERAL (VALUES
            ('queue', started_at - queued_at),
            ('generating', storing_at - started_at),
            ('storing', finished_at - storing_at),
            ('total', finished_at - created_at)
        ) AS part (phase, duration)
    )
    SELECT phase, count(value) AS samples,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS p50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY value) AS p95
    FROM seconds GROUP BY phase
""")


class PostgresDurations:
    """The history of every tenant, of which nothing leaves but percentiles of many jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def measure_durations(self, model: str) -> ModelDurations:
        rows = await self._database.call(_MEASURE, {"model": model, "samples": _MAX_SAMPLES})
        samples = min((row.samples for row in rows), default=0)
        if samples < MIN_SAMPLES:
            return ModelDurations(samples)
        return ModelDurations(samples, {Phase(row.phase): Percentiles(row.p50, row.p95) for row in rows})
