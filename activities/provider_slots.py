"""Provider slots: requesting one, and signaling workflows that were granted one."""

from collections.abc import Iterable

from temporalio import activity

from domain.errors import TemporalUnavailable
from domain.generation import GenerationRequest
from domain.ports import ProviderSlots, SlotDecision, WorkflowClient
from domain.provider import AttemptRef
from domain.slots import SlotRequest


class SlotGranter:
    """Grants slots and signals the workflows that wait for them."""

    def __init__(self, slots: ProviderSlots, workflows: WorkflowClient) -> None:
        self._slots = slots
        self._workflows = workflows

    async def request_slot(self, attempt: AttemptRef, *, left_because: str | None = None) -> SlotDecision:
        """Return whether the attempt has a slot now. If not, its workflow is signaled later."""
        decision = await self._slots.request(attempt, left_because=left_because)
        await self._notify(decision.to_notify)
        if decision.released_provider is not None:
            await self.grant_free_slots(decision.released_provider)
        return decision

    async def grant_free_slots(self, provider: str) -> int:
        """Grant all free slots of a provider; return how many workflows were signaled."""
        return await self._notify(await self._slots.grant_free(provider))

    async def open_after(self, request: GenerationRequest) -> None:
        """Let everybody in again after a job was taken, if there was evidence against it."""
        await self._slots.forget_evidence(request)
        await self.grant_free_slots(request.provider)

    async def open(self, provider: str) -> int:
        """Open a provider on an operator's command; return how many workflows were granted a slot."""
        await self._slots.open(provider)
        return await self.grant_free_slots(provider)

    async def announce_closure(self, request: GenerationRequest) -> None:
        """Signal the attempts that wait for a closed provider and have another one."""
        for attempt in await self._slots.list_waiting_with_fallback(request):
            try:
                await self._workflows.signal_provider_closed(attempt)
            except TemporalUnavailable:
                activity.logger.warning("those that wait for %s look by themselves", request.provider)
                break

    async def _notify(self, attempts: Iterable[AttemptRef]) -> int:
        """Signal each workflow. The next grant or the reconciler signals those that cannot be reached now."""
        notified = []
        for attempt in attempts:
            try:
                if await self._workflows.signal_slot_granted(attempt):
                    notified.append(attempt)
            except TemporalUnavailable:
                activity.logger.warning("%s has a slot and is notified later", attempt.generation_id)
                break
        if notified:
            await self._slots.mark_notified(notified)
        return len(notified)


class SlotActivities:
    """For a workflow that has to wait for a slot, and for one that goes on to its fallback."""

    def __init__(self, granter: SlotGranter) -> None:
        self._granter = granter

    @activity.defn(name="ask_for_place")
    async def request_slot(self, wanted: SlotRequest) -> bool:
        """Take a slot or a position in the queue, or look again; return whether there is a slot."""
        decision = await self._granter.request_slot(wanted.attempt, left_because=wanted.left_because)
        return decision.granted
