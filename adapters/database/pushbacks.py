"""What happens to an attempt that its provider pushed back: it waits in the queue, without a slot."""

from sqlalchemy.ext.asyncio import AsyncSession

from adapters.database import closures
from adapters.database.provider_slots import add_slot
from adapters.database.tables import GenerationRow, ProviderSlotRow
from adapters.database.tables.mapping import to_request
from domain.provider import AttemptRef, Pushback, SubmitResult, SubmitState
from domain.pushback import pause_after


async def push_back(
    session: AsyncSession, row: GenerationRow, attempt: AttemptRef, pushback: Pushback
) -> SubmitResult:
    """Give the slot back and keep the position; the generation's row must be locked."""
    request = to_request(row, attempt.ordinal)
    slot = await session.get(ProviderSlotRow, row.id)
    if slot is None or slot.ordinal != attempt.ordinal:
        slot = await add_slot(session, row, attempt)  # a provider without a limit
    if pushback.by_closure:
        # Not this attempt's fault: it is granted a slot again as soon as the provider is open.
        seconds, is_closed = max(1.0, pushback.stated_seconds or 0.0), True
    else:
        seconds = pause_after(slot.pushbacks, pushback.stated_seconds)
        is_closed = await closures.add_evidence(
            session, request.provider, request.endpoint, row.id, pushback, seconds
        )
        slot.pushbacks += 1
        slot.not_before = await closures.moment_after(session, seconds)
    slot.granted_at = slot.notified_at = None
    slot.pushback_code = pushback.code
    await session.flush()
    return SubmitResult(
        SubmitState.PUSHED_BACK, code=pushback.code, retry_after_seconds=seconds, closed=is_closed
    )
