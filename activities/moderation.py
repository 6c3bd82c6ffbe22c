"""Our own check of a request, before any credits are held."""

from temporalio import activity

from domain.errors import ModerationUnavailable
from domain.ports import Generations, InputCheck


class ModerationActivities:
    """Applies the installation's own content rules, if it has any."""

    def __init__(self, generations: Generations, check: InputCheck | None) -> None:
        self._generations = generations
        self._check = check

    @activity.defn
    async def check_input(self, generation_id: str) -> bool:
        """Return whether the request may pass. Raises ModerationUnavailable: unchecked input does not."""
        if self._check is None:  # the API's settings demand a check, and this worker's settings have none
            raise ModerationUnavailable("no check is set up here")
        generation = await self._generations.get_generation(generation_id)
        violation = await self._check.find_violation(generation.request.prompt)
        if violation is not None:
            activity.logger.info("input of %s refused: %s", generation_id, violation)
        return violation is None
