"""How far jobs are, as polls have found it."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Double, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.database.engine import Database
from adapters.database.tables.columns import TERMINAL
from domain.generation import Stage
from domain.progress import PollReport, ProviderProgress, StageProgress
from domain.provider import AttemptRef

RECORD_POLL = text("SELECT record_poll(:generation, :ordinal, :status, :code, :said)").bindparams(
    bindparam("said", type_=JSONB(none_as_null=True))
)
# The last attempt by its time: after a Reset in Temporal the first may be begun again after the second.
_READ = text(f"""
    SELECT stage, extract(epoch FROM clock_timestamp() - moved_at) AS elapsed_seconds, said,
        CAST(said_at AS timestamptz) AS said_at
    FROM generations
    LEFT JOIN LATERAL (
        SELECT progress -> 'said' AS said, progress ->> 'said_at' AS said_at FROM attempts
        WHERE generation_id = generations.id ORDER BY started_at DESC LIMIT 1
    ) AS attempt ON true
    WHERE id = :generation AND status NOT IN {TERMINAL}
""").columns(  # noqa: S608 - a constant
    stage=Text, elapsed_seconds=Double, said=JSONB, said_at=DateTime(timezone=True)
)


def poll_values(attempt: AttemptRef, report: PollReport) -> dict[str, Any]:
    """Return the parameters of RECORD_POLL."""
    return {
        "generation": attempt.generation_id,
        "ordinal": attempt.ordinal,
        "status": report.status,
        "code": report.code,
        "said": None if report.progress is None else _said(report.progress),
    }


class PostgresProgressRecords:
    """Reads what polls have recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_progress(self, generation_id: str) -> StageProgress | None:
        rows = await self._database.call(_READ, {"generation": generation_id})
        if not rows:
            return None
        [row] = rows
        said_at: datetime | None = row.said_at
        provider = None if row.said is None else _progress_of(row.said)
        # The clock of a server that takes over may be a little behind.
        return StageProgress(Stage(row.stage), max(0.0, row.elapsed_seconds), provider, said_at)


def _said(progress: ProviderProgress) -> dict[str, Any]:
    return {
        "is_queued": progress.is_queued,
        "queue_position": progress.queue_position,
        "percent": progress.percent,
        "logs": list(progress.logs),
    }


def _progress_of(said: dict[str, Any]) -> ProviderProgress:
    return ProviderProgress(
        said["is_queued"], said["queue_position"], said["percent"], tuple(said.get("logs", ()))
    )
