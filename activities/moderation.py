"""Our own look at a request, before it costs anyone anything."""

from temporalio import activity

from domain.errors import ModerationUnavailable
from domain.ports import Generations, InputCheck


class ModerationActivities:
    """One check, or none."""

    def __init__(self, generations: Generations, check: InputCheck | None) -> None:
        self._generations = generations
        self._check = check

    @activity.defn
    async def check_input(self, generation_id: str) -> bool:
        """Whether the request may pass. Raises ModerationUnavailable: what was not checked does not."""
        if self._check is None:  # the API was set to have it checked, and this worker was not
            raise ModerationUnavailable("no check is set up here")
        generation = await self._generations.get(generation_id)
        refused = await self._check.check(generation.request.prompt)
        if refused is not None:
            activity.logger.info("input of %s refused: %s", generation_id, refused)
        return refused is None
