"""Slots at providers.

Slots are granted with the provider's row in `provider_pauses` locked, so that none is granted twice. Who is
next is decided in slot_queue.py, and which provider is closed in closures.py. The database itself releases a
slot, in the transaction that ends the provider's work (`triggers.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Update, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.database import closures, slot_queue
from adapters.database.engine import Database
from adapters.database.tables import (
    AttemptRow,
    GenerationRow,
    ProviderClosureRow,
    ProviderPauseRow,
    ProviderSlotRow,
)
from adapters.database.tables.mapping import is_terminal, locked_generation, set_stage, to_request
from domain.attempt import AttemptState
from domain.generation import GenerationRequest, Stage
from domain.ports import Closure, QueuePosition, SlotDecision
from domain.provider import AttemptRef

_LOCK = """
SELECT coalesce(paused_until <= clock_timestamp(), true) FROM provider_pauses
WHERE provider = :provider FOR UPDATE
"""
_WAITING = text("""
(SELECT 1 FROM provider_slots WHERE provider = :provider AND granted_at IS NULL AND not_before IS NULL
    ORDER BY endpoint LIMIT 1)
UNION ALL
(SELECT 1 FROM provider_slots WHERE provider = :provider AND granted_at IS NOT NULL AND notified_at IS NULL
    LIMIT 1)
""")
_NOT_NOTIFIED = text("""
SELECT generation_id, ordinal FROM provider_slots
WHERE provider = :provider AND granted_at IS NOT NULL AND notified_at IS NULL LIMIT 1000
""")
_TAKEN = text("SELECT count(*) FROM provider_slots WHERE provider = :provider AND granted_at IS NOT NULL")
# More than any worker can notify at once; the next grant or the reconciler returns the rest.
_MAX_RETURNED = 1000
_UNLIMITED = 1_000_000


class PostgresProviderSlots:
    """A queue per provider.

    limits: slots by provider. A provider that is not named is unlimited: every request is granted, except
    those that the provider pushed back.
    """

    def __init__(self, database: Database, limits: Mapping[str, int]) -> None:
        self._database = database
        self._limits = limits

    async def request(self, attempt: AttemptRef) -> SlotDecision:
        async with self._database.begin() as session:
            decision, provider = await self._request(session, attempt)
        if not decision.granted and await self._has_free_slot(provider):
            # Released after this request was refused, by one that did not see it wait yet.
            granted = await self.grant_free(provider)
            others = tuple(other for other in granted if other != attempt)
            return replace(decision, granted=attempt in granted, to_notify=decision.to_notify + others)
        return decision

    async def grant_free(self, provider: str) -> Sequence[AttemptRef]:
        async with self._database.each() as session:
            # The usual case: nothing waits, and no lock is taken.
            if (await session.execute(_WAITING, {"provider": provider})).first() is None:
                return []
        async with self._database.begin() as session:
            await self._grant_free(session, provider)
            found = await session.execute(_NOT_NOTIFIED, {"provider": provider})
            return [AttemptRef(*attempt) for attempt in found]

    async def mark_notified(self, attempt: AttemptRef) -> None:
        async with self._database.begin() as session:
            await session.execute(_notified(attempt))

    async def queue_position(self, generation_id: str) -> QueuePosition | None:
        async with self._database.begin() as session:
            return await slot_queue.position(session, generation_id)

    async def closure_for(self, request: GenerationRequest, generation_id: str) -> Closure:
        async with self._database.each() as session:
            return await closures.state_of(session, request.provider, request.endpoint, generation_id)

    async def forget_evidence(self, request: GenerationRequest) -> None:
        async with self._database.begin() as session:
            endpoints = (closures.WHOLE_ACCOUNT, request.endpoint)
            await closures.forget_evidence(session, request.provider, endpoints)

    async def list_waiting_with_fallback(self, request: GenerationRequest) -> Sequence[AttemptRef]:
        async with self._database.each() as session:
            is_shut = (await closures.grant_rule(session, request.provider)).shut
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
            await session.execute(
                update(ProviderPauseRow)
                .where(col(ProviderPauseRow.provider) == provider)
                .values(paused_until=None)
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

    async def _request(self, session: AsyncSession, attempt: AttemptRef) -> tuple[SlotDecision, str]:
        row = await locked_generation(session, attempt.generation_id)
        request = to_request(row, attempt.ordinal)
        provider = request.provider
        slot, released = await session.get(ProviderSlotRow, row.id), None
        if is_terminal(row) or await _needs_no_slot(session, row, slot, attempt):
            return SlotDecision(granted=True), provider
        if slot is not None and slot.ordinal != attempt.ordinal:
            released = slot.provider
            await session.delete(slot)
            await session.flush()
            slot = None
        if slot is None:
            if provider not in self._limits:
                return SlotDecision(granted=True, released_provider=released), provider
            slot = await add_slot(session, row, attempt)
        # An attempt that was told to wait asks again when its time has come.
        slot.not_before = None
        await session.flush()
        granted = [] if slot.granted_at else await self._grant_free(session, provider)
        await session.refresh(slot)  # another transaction may have granted it before the lock was free
        is_granted = slot.granted_at is not None or attempt in granted
        if is_granted and slot.notified_at is None:
            await session.execute(_notified(attempt))
        elif not is_granted and row.stage != Stage.THROTTLED:
            set_stage(row, Stage.THROTTLED)
        others = tuple(other for other in granted if other != attempt)
        is_closed = False
        if not is_granted:
            closure = await closures.state_of(session, provider, request.endpoint, row.id)
            is_closed = closure.code is not None
        return SlotDecision(is_granted, others, released, is_closed), provider

    async def _has_free_slot(self, provider: str) -> bool:
        async with self._database.each() as session:
            taken = await session.scalar(_TAKEN, {"provider": provider})
        return int(taken or 0) < self._limits.get(provider, _UNLIMITED)

    async def _grant_free(self, session: AsyncSession, provider: str) -> list[AttemptRef]:
        values = {"provider": provider}
        is_open = (await session.execute(text(_LOCK), values)).scalar_one_or_none()
        if is_open is None:
            await session.execute(insert(ProviderPauseRow).values(provider=provider).on_conflict_do_nothing())
            is_open = (await session.execute(text(_LOCK), values)).scalar_one()
        rule = await closures.grant_rule(session, provider)
        if not is_open or closures.WHOLE_ACCOUNT in rule.shut:
            return []
        slots = self._limits.get(provider, _UNLIMITED)
        if closures.WHOLE_ACCOUNT in rule.probed:
            return await self._grant_probe(session, provider, closures.WHOLE_ACCOUNT, closed=rule.shut)
        probes: list[AttemptRef] = []
        for endpoint in rule.probed:
            probes += await self._grant_probe(session, provider, endpoint, closed=[])
        closed = rule.shut + rule.probed
        return probes + await slot_queue.grant(session, provider, slots, closed=closed, most=_MAX_RETURNED)

    async def _grant_probe(
        self, session: AsyncSession, provider: str, endpoint: str, *, closed: list[str]
    ) -> list[AttemptRef]:
        """Grant one slot, to the attempt that finds out whether jobs are taken again."""
        slots = self._limits.get(provider, _UNLIMITED)
        granted = await slot_queue.grant(
            session, provider, slots, closed=closed, only=endpoint, most=1, as_probe=True
        )
        for probe in granted:
            await closures.set_probe(session, provider, endpoint, probe.generation_id)
        return granted


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
    )
    session.add(slot)
    await session.flush()
    return slot


async def _needs_no_slot(
    session: AsyncSession, row: GenerationRow, slot: ProviderSlotRow | None, attempt: AttemptRef
) -> bool:
    """Return whether the submit will only return what is stored: a job, or the refusal of one.

    So it is after a Reset in Temporal. Such a run must neither wait for what it has, nor give it up.
    """
    if slot is None and row.stage in (Stage.RESERVING, Stage.THROTTLED):
        return False  # a first request: nothing can be stored
    records = await session.execute(
        select(col(AttemptRow.ordinal), col(AttemptRow.state)).where(
            col(AttemptRow.generation_id) == attempt.generation_id
        )
    )
    states = {ordinal: AttemptState(state) for ordinal, state in records}
    if any(state.may_be_charged for state in states.values()):
        return True
    return states.get(attempt.ordinal, AttemptState.NOT_SENT) is not AttemptState.NOT_SENT


def _notified(attempt: AttemptRef) -> Update:
    return (
        update(ProviderSlotRow)
        .where(
            col(ProviderSlotRow.generation_id) == attempt.generation_id,
            col(ProviderSlotRow.ordinal) == attempt.ordinal,
            col(ProviderSlotRow.granted_at).is_not(None),
        )
        .values(notified_at=func.clock_timestamp())
    )
