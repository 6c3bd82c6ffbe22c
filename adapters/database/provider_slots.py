"""Places at providers.

Whoever hands out places locks the provider's row in `gates`, so that they are handed out once. The next
place goes to the tenant that holds the fewest, the positions in its own line counted: with that a tenant
with 500 jobs and one with a single job take turns. A place is given back by the database itself, in the
transaction that ends the provider's work (`triggers.py`).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Update, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.mapping import is_terminal, locked_generation, to_request
from adapters.database.tables import ProviderPauseRow, ProviderSlotRow
from domain.ports import QueuePosition, SlotDecision
from domain.provider import AttemptRef

_LOCK = """
SELECT coalesce(closed_until <= clock_timestamp(), true) FROM gates WHERE provider = :provider FOR UPDATE
"""
_CLOSE = """
INSERT INTO gates (provider, closed_until)
VALUES (:provider, clock_timestamp() + make_interval(secs => :seconds))
ON CONFLICT (provider) DO UPDATE
SET closed_until = greatest(gates.closed_until, excluded.closed_until)
"""
# A place's turn is its number among the same tenant's, those it holds first.
_LINE = """
SELECT generation_id, asked_at, granted_at, row_number() OVER (
    PARTITION BY tenant_id ORDER BY granted_at NULLS LAST, asked_at, generation_id) AS turn
FROM places WHERE provider = :provider
"""
_GRANT = f"""
UPDATE places SET granted_at = clock_timestamp() WHERE generation_id IN (
    SELECT generation_id FROM ({_LINE}) AS line WHERE granted_at IS NULL
    ORDER BY turn, asked_at, generation_id LIMIT greatest(0, :places - (
        SELECT count(*) FROM places WHERE provider = :provider AND granted_at IS NOT NULL)))
RETURNING generation_id, ordinal
"""  # noqa: S608 - both parts are constants
_AHEAD = f"""
WITH line AS ({_LINE})
SELECT mine.asked_at, count(other.generation_id) AS ahead
FROM line AS mine LEFT JOIN line AS other ON other.granted_at IS NULL
    AND (other.turn, other.asked_at, other.generation_id) < (mine.turn, mine.asked_at, mine.generation_id)
WHERE mine.generation_id = :generation_id AND mine.granted_at IS NULL
GROUP BY mine.asked_at
"""  # noqa: S608 - both parts are constants


class PostgresProviderSlots:
    """One line per provider.

    limits: places by provider. One that is not named has no door: every place asked for is granted.
    """

    def __init__(self, database: Database, limits: Mapping[str, int]) -> None:
        self._database = database
        self._limits = limits

    async def ask(self, attempt: AttemptRef) -> SlotDecision:
        async with self._database.begin() as session:
            row = await locked_generation(session, attempt.generation_id)
            provider = to_request(row, attempt.ordinal).provider
            if is_terminal(row):
                return SlotDecision(granted=True)  # the submit finds out that there is nothing left to do
            place, left = await session.get(ProviderSlotRow, row.id), None
            if place is not None and place.ordinal != attempt.ordinal:
                left = place.provider
                await session.delete(place)
                await session.flush()
                place = None
            if provider not in self._limits:
                return SlotDecision(granted=True, left=left)
            if place is None:
                place = ProviderSlotRow(
                    generation_id=row.id, ordinal=attempt.ordinal, provider=provider, tenant_id=row.tenant_id
                )
                session.add(place)
                await session.flush()
            granted = [] if place.granted_at else await self._hand_out(session, provider)
            await session.refresh(place)  # somebody may have granted it while we waited for the door
            is_granted = place.granted_at is not None or attempt in granted
            if is_granted and place.told_at is None:
                await session.execute(_told(attempt))
            return SlotDecision(is_granted, tuple(other for other in granted if other != attempt), left)

    async def hand_out(self, provider: str) -> Sequence[AttemptRef]:
        if provider not in self._limits:
            return []
        waiting = select(col(ProviderSlotRow.generation_id), col(ProviderSlotRow.ordinal)).where(
            col(ProviderSlotRow.provider) == provider, col(ProviderSlotRow.told_at).is_(None)
        )
        async with self._database.each() as session:
            # The usual case: nobody waits, and nobody else is kept from the gate.
            if (await session.execute(waiting.limit(1))).first() is None:
                return []
        async with self._database.begin() as session:
            await self._hand_out(session, provider)
            untold = waiting.where(col(ProviderSlotRow.granted_at).is_not(None)).limit(self._limits[provider])
            return [AttemptRef(*found) for found in await session.execute(untold)]

    async def told(self, attempt: AttemptRef) -> None:
        async with self._database.begin() as session:
            await session.execute(_told(attempt))

    async def slow_down(self, provider: str, seconds: float) -> None:
        values = {"provider": provider, "seconds": seconds}
        async with self._database.begin() as session:
            await session.execute(text(_CLOSE), values)

    async def closed_seconds(self, provider: str) -> float:
        async with self._database.each() as session:
            left = await session.scalar(
                select(
                    func.extract("epoch", col(ProviderPauseRow.closed_until) - func.clock_timestamp())
                ).where(col(ProviderPauseRow.provider) == provider)
            )
        return max(0.0, float(left or 0))

    async def standing(self, generation_id: str) -> QueuePosition | None:
        async with self._database.begin() as session:
            provider = await session.scalar(
                select(col(ProviderSlotRow.provider)).where(
                    col(ProviderSlotRow.generation_id) == generation_id
                )
            )
            values = {"provider": provider, "generation_id": generation_id}
            found = (await session.execute(text(_AHEAD), values)).one_or_none()
        return QueuePosition(found.asked_at, found.ahead) if found is not None else None

    async def _hand_out(self, session: AsyncSession, provider: str) -> Sequence[AttemptRef]:
        values = {"provider": provider}
        is_open = (await session.execute(text(_LOCK), values)).scalar_one_or_none()
        if is_open is None:
            await session.execute(insert(ProviderPauseRow).values(provider=provider).on_conflict_do_nothing())
            is_open = (await session.execute(text(_LOCK), values)).scalar_one()
        if not is_open:
            return []
        granted = await session.execute(text(_GRANT), values | {"places": self._limits[provider]})
        return [AttemptRef(*found) for found in granted]


def _told(attempt: AttemptRef) -> Update:
    return (
        update(ProviderSlotRow)
        .where(
            col(ProviderSlotRow.generation_id) == attempt.generation_id,
            col(ProviderSlotRow.ordinal) == attempt.ordinal,
        )
        .values(told_at=func.clock_timestamp())
    )
