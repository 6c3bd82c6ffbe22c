"""The three ledger steps of a generation."""

from dataclasses import replace

from temporalio import activity

from activities.metrics import count_finished
from activities.provider_slots import SlotGranter
from domain.credits import HoldState, Refund, Reservation
from domain.generation import Outcome, TerminalState
from domain.ports import Ledger
from domain.provider import AttemptRef


class CreditActivities:
    """Reserve, then settle or refund. Each is safe to run any number of times."""

    def __init__(self, ledger: Ledger, slots: SlotGranter) -> None:
        self._ledger = ledger
        self._slots = slots

    @activity.defn
    async def reserve_credits(self, generation_id: str, tenant_id: str = "") -> Reservation:
        """Hold the price, or say why not: too few credits, canceled, or ended before."""
        reservation = await self._ledger.reserve(generation_id, tenant_id)
        if reservation.outcome is not None and reservation.state is not HoldState.ALREADY_TERMINAL:
            count_finished(reservation.outcome)
        if reservation.state is not HoldState.HELD:
            return reservation
        # In the same step, so that a job that need not wait needs no further activity.
        decision = await self._slots.request_slot(AttemptRef(generation_id))
        return replace(reservation, waits=not decision.granted, closed=decision.closed)

    @activity.defn
    async def settle_credits(self, generation_id: str) -> Outcome:
        """Charge for what is stored, return the rest, complete the generation."""
        outcome = await self._ledger.settle(generation_id)
        count_finished(outcome)
        return outcome

    @activity.defn
    async def refund_credits(
        self, generation_id: str, terminal_state: TerminalState, provider: str | None = None
    ) -> Refund:
        """Return the hold, if there is one, and end the generation. provider: where that frees a slot."""
        refund = await self._ledger.refund(generation_id, terminal_state)
        if refund.outcome is not None:
            count_finished(refund.outcome)
        if provider is not None and not refund.submitted:
            await self._slots.grant_free_slots(provider)
        return refund
