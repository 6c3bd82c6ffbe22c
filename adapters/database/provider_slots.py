"""Slots at providers.

What is granted to whom is decided in functions/slots.sql, in one round trip; where an attempt stands in the
queue in slot_queue.py, and which provider is closed in closures.py and functions/closures.sql. The database
itself releases a slot, in the transaction that ends the provider's work (`triggers.py`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database import closures, slot_queue
from adapters.database.batches import Batches
from adapters.database.engine import Database
from adapters.database.tables import GenerationRow, ProviderClosureRow, ProviderSlotRow
from adapters.database.tables.mapping import to_request
from domain.errors import GenerationNotFound
from domain.generation import GenerationRequest
from domain.ports import QueuePosition, SlotDecision
from domain.provider import AttemptRef

_REQUEST = (
    text("SELECT * FROM request_slot(:generation, :ordinal, :limits)")
    .bindparams(bindparam("limits", type_=JSONB))
    .columns(others=JSONB)
)
_REQUEST_NEXT = (
    text("SELECT * FROM request_next_slot(:generation, :ordinal, :limits, :reason)")
    .bindparams(bindparam("limits", type_=JSONB))
    .columns(others=JSONB)
)
_GRANT = text("SELECT * FROM grant_free_slots(:provider, :limit)").columns(to_notify=JSONB)
# One that is locked ends, or learns of its slot, at this moment.
_MARK_NOTIFIED = text("""
    UPDATE provider_slots SET notified_at = clock_timestamp() WHERE generation_id IN (
        SELECT generation_id FROM provider_slots
        JOIN unnest(CAST(:generations AS text[]), CAST(:ordinals AS bigint[]))
            AS notified (generation_id, ordinal) USING (generation_id, ordinal)
        WHERE granted_at IS NOT NULL FOR UPDATE OF provider_slots SKIP LOCKED
    )
""")
# More than any worker can notify at once; the next grant or the reconciler returns the rest.
_MAX_RETURNED = 1000
# One that finds another granting looks again, as that one may not have seen what has been free since.
_BUSY_PAUSES = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064)


class PostgresProviderSlots:
    """A queue per provider.

    limits: slots by provider. A provider that is not named is unlimited: every request is granted, except
    those that the provider pushed back.
    """

    def __init__(self, database: Database, limits: Mapping[str, int]) -> None:
        self._database = database
        self._limits = limits
        # Whoever comes while one grants needs the next grant, and one is enough for all of them.
        self._granting = Batches(self._grant)

    async def request(self, attempt: AttemptRef, *, left_because: str | None = None) -> SlotDecision:
        decision, _ = await self._request(attempt, left_because)
        # Once more when others can see that it waits: one that released a slot meanwhile could not.
        is_to_look = not decision.granted
        for pause_seconds in (0.0, *_BUSY_PAUSES):
            if not is_to_look:
                break
            await asyncio.sleep(pause_seconds)
            before = decision
            decision, is_to_look = await self._request(attempt)
            decision = replace(
                decision,
                to_notify=before.to_notify + decision.to_notify,
                released_provider=before.released_provider or decision.released_provider,
            )
        return decision

    async def grant_free(self, provider: str) -> Sequence[AttemptRef]:
        granted = await self._granting.call(provider, provider)
        # All callers of a batch have the same list; the first that goes on takes what is in it, and notifies.
        taken = list(granted)
        granted.clear()
        return taken

    async def mark_notified(self, attempts: Sequence[AttemptRef]) -> None:
        values = {
            "generations": [attempt.generation_id for attempt in attempts],
            "ordinals": [attempt.ordinal for attempt in attempts],
        }
        await self._database.call(_MARK_NOTIFIED, values)

    async def queue_position(self, generation_id: str) -> QueuePosition | None:
        async with self._database.begin() as session:
            return await slot_queue.position(session, generation_id)

    async def forget_evidence(self, request: GenerationRequest) -> None:
        async with self._database.each() as session:
            endpoints = (closures.WHOLE_ACCOUNT, request.endpoint)
            await closures.forget_evidence(session, request.provider, endpoints)

    async def list_waiting_with_fallback(self, request: GenerationRequest) -> Sequence[AttemptRef]:
        async with self._database.each() as session:
            is_shut = await closures.shut_endpoints(session, request.provider)
            waiting = select(col(ProviderSlotRow.generation_id), col(ProviderSlotRow.ordinal)).where(
                col(ProviderSlotRow.provider) == request.provider,
                col(ProviderSlotRow.granted_at).is_(None),
                col(ProviderSlotRow.has_fallback),
            )
            if closures.WHOLE_ACCOUNT not in is_shut:
                waiting = waiting.where(col(ProviderSlotRow.endpoint).in_(is_shut))
            found = await session.execute(waiting.limit(_MAX_RETURNED))
            return [AttemptRef(*attempt) for attempt in found]

    async def open(self, provider: str) -> int:
        async with self._database.begin() as session:
            await session.execute(
                delete(ProviderClosureRow).where(col(ProviderClosureRow.provider) == provider)
            )
            woken = await session.execute(
                update(ProviderSlotRow)
                .where(
                    col(ProviderSlotRow.provider) == provider, col(ProviderSlotRow.not_before).is_not(None)
                )
                .values(not_before=None)
                .returning(col(ProviderSlotRow.generation_id))
            )
            return len(woken.all())

    async def _request(
        self, attempt: AttemptRef, left_because: str | None = None
    ) -> tuple[SlotDecision, bool]:
        """Return the decision, and whether to ask again because another transaction was granting."""
        values = {
            "generation": attempt.generation_id,
            "ordinal": attempt.ordinal,
            "limits": dict(self._limits),
        }
        if left_because is None:
            rows = await self._database.call(_REQUEST, values)
        else:
            rows = await self._database.call(_REQUEST_NEXT, values | {"reason": left_because})
        if not rows:
            raise GenerationNotFound
        [row] = rows
        others = tuple(AttemptRef(*other) for other in row.others)
        decision = SlotDecision(row.is_granted, others, row.released_provider, row.is_closed)
        return decision, row.is_busy and not row.is_granted

    async def _grant(self, callers: Sequence[str]) -> list[list[AttemptRef]]:
        """Grant once for all callers."""
        values = {"provider": callers[0], "limit": self._limits.get(callers[0])}
        [row] = await self._database.call(_GRANT, values)
        for pause_seconds in _BUSY_PAUSES:
            if not row.is_busy:
                break
            await asyncio.sleep(pause_seconds)
            [row] = await self._database.call(_GRANT, values)
        return [[AttemptRef(*attempt) for attempt in row.to_notify]] * len(callers)


async def add_slot(session: AsyncSession, row: GenerationRow, attempt: AttemptRef) -> ProviderSlotRow:
    """Put an attempt at the end of its provider's queue."""
    request = to_request(row, attempt.ordinal)
    slot = ProviderSlotRow(
        generation_id=row.id,
        ordinal=attempt.ordinal,
        provider=request.provider,
        endpoint=request.endpoint,
        tenant_id=row.tenant_id,
        has_fallback=attempt.ordinal == 1 and row.fallback is not None,
        rank=-row.priority,
    )
    session.add(slot)
    await session.flush()
    return slot
