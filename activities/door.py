"""The door of a provider: who may go in, and telling those who wait that it is their turn."""

from collections.abc import Iterable

from temporalio import activity

from domain.errors import TemporalUnavailable
from domain.ports import Gate, Runs
from domain.provider import AttemptRef


class Door:
    """Places are the gate's business; this one passes the word to the workflows."""

    def __init__(self, gate: Gate, runs: Runs) -> None:
        self._gate = gate
        self._runs = runs

    async def ask(self, attempt: AttemptRef) -> bool:
        """Whether the attempt has a place now. If not, its workflow will be told."""
        admission = await self._gate.ask(attempt)
        await self._tell(admission.to_tell)
        if admission.left is not None:
            await self.hand_out(admission.left)
        return admission.granted

    async def hand_out(self, provider: str) -> int:
        """Let in as many as there is room for; how many were told."""
        return await self._tell(await self._gate.hand_out(provider))

    async def closed_seconds(self, provider: str) -> float:
        return await self._gate.closed_seconds(provider)

    async def slow_down(self, provider: str, seconds: float) -> None:
        await self._gate.slow_down(provider, seconds)

    async def _tell(self, attempts: Iterable[AttemptRef]) -> int:
        """Whoever cannot be told now is told by the next one through the door, or by the reconciler."""
        told = 0
        for attempt in attempts:
            try:
                if await self._runs.grant_place(attempt):
                    await self._gate.told(attempt)
                    told += 1
            except TemporalUnavailable:
                activity.logger.warning("%s has a place and is told later", attempt.generation_id)
                break
        return told


class PlaceActivities:
    """For a workflow that has to wait, and for one that goes on to another provider."""

    def __init__(self, door: Door) -> None:
        self._door = door

    @activity.defn
    async def ask_for_place(self, attempt: AttemptRef) -> bool:
        """Take a position in the line, or look again; whether there is a place."""
        return await self._door.ask(attempt)
