"""Slots at providers.

Slots are granted with the provider's row in `provider_pauses` locked, so that none is granted twice. The next
free slot goes to the tenant that has the fewest, counting its own queue in order: a tenant with 500 jobs and
one with a single job take turns. The database itself releases a slot, in the transaction that ends the
provider's work (`triggers.py`).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Update, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database.engine import Database
from adapters.database.tables import ProviderPauseRow, ProviderSlotRow
from adapters.database.tables.mapping import is_terminal, locked_generation, to_request
from domain.ports import QueuePosition, SlotDecision
from domain.provider import AttemptRef

_LOCK = """
SELECT coalesce(paused_until <= clock_timestamp(), true) FROM provider_pauses
WHERE provider = :provider FOR UPDATE
"""
_PAUSE = """
INSERT INTO provider_pauses (provider, paused_until)
VALUES (:provider, clock_timestamp() + make_interval(secs => :seconds))
ON CONFLICT (provider) DO UPDATE
SET paused_until = greatest(provider_pauses.paused_until, excluded.paused_until)
"""
# Each attempt is numbered among its own tenant's, those that have a slot first.
_QUEUE = """
SELECT generation_id, requested_at, granted_at, row_number() OVER (
    PARTITION BY tenant_id ORDER BY granted_at NULLS LAST, requested_at, generation_id) AS turn
FROM provider_slots WHERE provider = :provider
"""
_GRANT = f"""
UPDATE provider_slots SET granted_at = clock_timestamp() WHERE generation_id IN (
    SELECT generation_id FROM ({_QUEUE}) AS queue WHERE granted_at IS NULL
    ORDER BY turn, requested_at, generation_id LIMIT greatest(0, :slots - (
        SELECT count(*) FROM provider_slots WHERE provider = :provider AND granted_at IS NOT NULL)))
RETURNING generation_id, ordinal
"""  # noqa: S608 - both parts are constants
_AHEAD = f"""
WITH queue AS ({_QUEUE})
SELECT own.requested_at, count(other.generation_id) AS ahead
FROM queue AS own LEFT JOIN queue AS other ON other.granted_at IS NULL
    AND (other.turn, other.requested_at, other.generation_id)
        < (own.turn, own.requested_at, own.generation_id)
WHERE own.generation_id = :generation_id AND own.granted_at IS NULL
GROUP BY own.requested_at
"""  # noqa: S608 - both parts are constants


class PostgresProviderSlots:
    """A queue per provider.

    limits: slots by provider. A provider that is not named is unlimited: every request is granted.
    """

    def __init__(self, database: Database, limits: Mapping[str, int]) -> None:
        self._database = database
        self._limits = limits

    async def request(self, attempt: AttemptRef) -> SlotDecision:
        async with self._database.begin() as session:
            row = await locked_generation(session, attempt.generation_id)
            provider = to_request(row, attempt.ordinal).provider
            if is_terminal(row):
                return SlotDecision(granted=True)  # the submit finds out that there is nothing left to do
            slot, released = await session.get(ProviderSlotRow, row.id), None
            if slot is not None and slot.ordinal != attempt.ordinal:
                released = slot.provider
                await session.delete(slot)
                await session.flush()
                slot = None
            if provider not in self._limits:
                return SlotDecision(granted=True, released_provider=released)
            if slot is None:
                slot = ProviderSlotRow(
                    generation_id=row.id, ordinal=attempt.ordinal, provider=provider, tenant_id=row.tenant_id
                )
                session.add(slot)
                await session.flush()
            granted = [] if slot.granted_at else await self._grant_free(session, provider)
            await session.refresh(slot)  # another transaction may have granted it before the lock was free
            is_granted = slot.granted_at is not None or attempt in granted
            if is_granted and slot.notified_at is None:
                await session.execute(_notified(attempt))
            return SlotDecision(is_granted, tuple(other for other in granted if other != attempt), released)

    async def grant_free(self, provider: str) -> Sequence[AttemptRef]:
        if provider not in self._limits:
            return []
        waiting = select(col(ProviderSlotRow.generation_id), col(ProviderSlotRow.ordinal)).where(
            col(ProviderSlotRow.provider) == provider, col(ProviderSlotRow.notified_at).is_(None)
        )
        async with self._database.each() as session:
            # The usual case: nothing waits, and no lock is taken.
            if (await session.execute(waiting.limit(1))).first() is None:
                return []
        async with self._database.begin() as session:
            await self._grant_free(session, provider)
            not_notified = waiting.where(col(ProviderSlotRow.granted_at).is_not(None))
            found = await session.execute(not_notified.limit(self._limits[provider]))
            return [AttemptRef(*attempt) for attempt in found]

    async def mark_notified(self, attempt: AttemptRef) -> None:
        async with self._database.begin() as session:
            await session.execute(_notified(attempt))

    async def pause(self, provider: str, seconds: float) -> None:
        async with self._database.begin() as session:
            await session.execute(text(_PAUSE), {"provider": provider, "seconds": seconds})

    async def paused_seconds(self, provider: str) -> float:
        remaining = func.extract("epoch", col(ProviderPauseRow.paused_until) - func.clock_timestamp())
        async with self._database.each() as session:
            seconds = await session.scalar(
                select(remaining).where(col(ProviderPauseRow.provider) == provider)
            )
        return max(0.0, float(seconds or 0))

    async def queue_position(self, generation_id: str) -> QueuePosition | None:
        async with self._database.begin() as session:
            provider = await session.scalar(
                select(col(ProviderSlotRow.provider)).where(
                    col(ProviderSlotRow.generation_id) == generation_id
                )
            )
            values = {"provider": provider, "generation_id": generation_id}
            found = (await session.execute(text(_AHEAD), values)).one_or_none()
        return QueuePosition(found.requested_at, found.ahead) if found is not None else None

    async def _grant_free(self, session: AsyncSession, provider: str) -> Sequence[AttemptRef]:
        values = {"provider": provider}
        is_open = (await session.execute(text(_LOCK), values)).scalar_one_or_none()
        if is_open is None:
            await session.execute(insert(ProviderPauseRow).values(provider=provider).on_conflict_do_nothing())
            is_open = (await session.execute(text(_LOCK), values)).scalar_one()
        if not is_open:
            return []
        granted = await session.execute(text(_GRANT), values | {"slots": self._limits[provider]})
        return [AttemptRef(*attempt) for attempt in granted]


def _notified(attempt: AttemptRef) -> Update:
    return (
        update(ProviderSlotRow)
        .where(
            col(ProviderSlotRow.generation_id) == attempt.generation_id,
            col(ProviderSlotRow.ordinal) == attempt.ordinal,
        )
        .values(notified_at=func.clock_timestamp())
    )
