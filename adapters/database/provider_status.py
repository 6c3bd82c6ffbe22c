"""What operators see: what is open, each provider with its slots and queue, and what is closed."""

from dataclasses import dataclass

from sqlalchemy import text

from adapters.database.book_checks import books_state
from adapters.database.engine import Database
from adapters.database.tables.columns import TERMINAL
from adapters.database.usage_outbox import usage_backlog
from domain.ports import InstallationState, OpenStage, ProviderQueue

_SLOTS = """
SELECT provider, count(*) FILTER (WHERE granted_at IS NOT NULL) AS slots_in_use,
       count(*) FILTER (WHERE granted_at IS NULL) AS waiting,
       count(*) FILTER (WHERE not_before IS NOT NULL) AS pushed_back
FROM provider_slots GROUP BY provider
"""
_CLOSED = """
SELECT provider, endpoint, code,
       ceil(greatest(0, extract(epoch FROM closed_until - clock_timestamp()))) AS seconds
FROM provider_closures WHERE closed_until IS NOT NULL ORDER BY provider, endpoint LIMIT 1000
"""

_STAGES = f"""
SELECT stage, count(*) AS generations, extract(epoch FROM now() - min(moved_at)) AS seconds
FROM generations WHERE status NOT IN {TERMINAL} GROUP BY stage
"""  # noqa: S608 - a constant
_HELD = "SELECT sum(balance_credits) FROM accounts WHERE kind = 'held'"
_FLAGGED = """
SELECT count(*) FROM (SELECT 1 FROM generations WHERE needs_attention IS NOT NULL LIMIT 10000) AS flagged
"""
_UNCHARGED = """
SELECT sum(price_credits), max(price_credits) FROM uncharged_costs
WHERE day = (now() AT TIME ZONE 'UTC')::date
"""


@dataclass(frozen=True)
class ClosureLine:
    """A closed model, or with an empty `endpoint` the account; 0 seconds: one job may try."""

    endpoint: str
    code: str
    seconds: int


@dataclass(frozen=True)
class ProviderLine:
    """A provider with jobs. `waiting` includes those that were pushed back."""

    provider: str
    slots_in_use: int
    waiting: int
    pushed_back: int
    closed: tuple[ClosureLine, ...]


class PostgresInstallation:
    """The state of the whole installation, each part read by an index of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_state(self) -> InstallationState:
        async with self._database.each() as session:
            stages = (await session.execute(text(_STAGES))).all()
            held = await session.scalar(text(_HELD))
            flagged = await session.scalar(text(_FLAGGED))
            uncharged, most = (await session.execute(text(_UNCHARGED))).one()
        queues = tuple(
            ProviderQueue(line.provider, line.slots_in_use, line.waiting, line.pushed_back, bool(line.closed))
            for line in await provider_lines(self._database)
        )
        return InstallationState(
            tuple(OpenStage(row.stage, row.generations, float(row.seconds)) for row in stages),
            queues,
            int(held or 0),
            int(flagged or 0),
            int(uncharged or 0),
            int(most or 0),
            await usage_backlog(self._database),
            await books_state(self._database),
        )


async def provider_lines(database: Database) -> list[ProviderLine]:
    """Return every provider that has jobs or is closed, by name."""
    closed: dict[str, list[ClosureLine]] = {}
    async with database.begin() as session:
        for provider, endpoint, code, seconds in await session.execute(text(_CLOSED)):
            closed.setdefault(provider, []).append(ClosureLine(endpoint, code, int(seconds)))
        slots = {row.provider: row for row in await session.execute(text(_SLOTS))}
    lines = []
    for provider in sorted(slots.keys() | closed.keys()):
        row = slots.get(provider)
        in_use, waiting, pushed_back = row[1:] if row is not None else (0, 0, 0)
        lines.append(ProviderLine(provider, in_use, waiting, pushed_back, tuple(closed.get(provider, ()))))
    return lines
