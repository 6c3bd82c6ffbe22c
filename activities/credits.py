"""The three ledger steps of a generation."""

from dataclasses import replace

from temporalio import activity

from activities.door import Door
from activities.metrics import count_finished
from domain.credits import HoldState, Refund, Reservation
from domain.generation import Ending, Outcome
from domain.ports import Ledger
from domain.provider import AttemptRef


class CreditActivities:
    """Reserve, then settle or refund. Each is safe to run any number of times."""

    def __init__(self, ledger: Ledger, door: Door) -> None:
        self._ledger = ledger
        self._door = door

    @activity.defn
    async def reserve_credits(self, generation_id: str) -> Reservation:
        """Hold the price, or say why not: too little, canceled, or ended before."""
        reservation = await self._ledger.reserve(generation_id)
        if reservation.outcome is not None and reservation.state is not HoldState.ALREADY_TERMINAL:
            count_finished(reservation.outcome)
        if reservation.state is not HoldState.HELD:
            return reservation
        # In the same step, so that a job that need not wait pays for no other one.
        return replace(reservation, waits=not await self._door.ask(AttemptRef(generation_id)))

    @activity.defn
    async def settle_credits(self, generation_id: str) -> Outcome:
        """Charge for what is stored, return the rest, complete the generation."""
        outcome = await self._ledger.settle(generation_id)
        count_finished(outcome)
        return outcome

    @activity.defn
    async def refund_credits(self, generation_id: str, ending: Ending, provider: str | None = None) -> Refund:
        """Return the hold, if there is one, and end the generation. provider: whose place is free now."""
        refund = await self._ledger.refund(generation_id, ending)
        if refund.outcome is not None:
            count_finished(refund.outcome)
        if provider is not None and not refund.submitted:
            await self._door.hand_out(provider)
        return refund
