"""Asking again for what an earlier generation was asked for."""

from dataclasses import replace

from api.services.generations import GenerationCommand, GenerationService
from api.services.rate_limiter import RateLimiter
from domain.auth import Caller
from domain.catalog import Catalog
from domain.controls import Controls
from domain.errors import GenerationNotFound, NotTerminal, PermanentError, RequestErased
from domain.generation import Generation
from domain.ports import Generations
from domain.tenant import RatePolicy


class Retries:
    """Makes new generations from ended ones. Each is charged, limited and checked like any other."""

    def __init__(
        self,
        catalog: Catalog,
        generations: Generations,
        service: GenerationService,
        rate_limiter: RateLimiter,
    ) -> None:
        self._catalog = catalog
        self._generations = generations
        self._service = service
        self._rate_limiter = rate_limiter

    async def retry(
        self,
        caller: Caller,
        generation_id: str,
        key: str | None,
        cancel_after_seconds: int | None,
        start_within_seconds: int | None,
    ) -> tuple[Generation, bool]:
        """Store a generation of the same request; return it and whether it is new.

        cancel_after_seconds, start_within_seconds: None for those of the earlier one. Raises
        GenerationNotFound, NotTerminal, RequestErased, and what a new generation may raise.
        """
        try:
            ancestor = await self._generations.get_generation_of(caller.tenant_id, generation_id)
        except GenerationNotFound:
            if key is not None:  # without one, the request was taken from the allowance before
                self._rate_limiter.take(caller, RatePolicy.CREATE)
            raise
        earlier = ancestor.request.controls
        controls = replace(
            earlier,
            cancel_after_seconds=cancel_after_seconds or earlier.cancel_after_seconds,
            start_within_seconds=start_within_seconds or earlier.start_within_seconds,
            retry_of=ancestor.id,
        )
        return await self._service.accept(caller, self._command(ancestor, controls), key)

    def _command(self, ancestor: Generation, controls: Controls) -> GenerationCommand:
        request = ancestor.request
        return GenerationCommand(
            request.model,
            self._given_parameters(ancestor) | {"prompt": request.prompt},
            request.metadata,
            request.inputs,
            request.mask,
            controls,
            _refusal(ancestor),
        )

    def _given_parameters(self, ancestor: Generation) -> dict[str, object]:
        """Return the stored parameters without defaults: those of one model the fallback may not know."""
        request, model = ancestor.request, self._catalog.models.get(ancestor.request.model)
        known = model.parameters if model is not None else {}
        return {
            name: value
            for name, value in request.parameters.items()
            if name not in known or value != known[name].default
        }


def _refusal(ancestor: Generation) -> PermanentError | None:
    """Return why nothing new can come of it; a repeat of a retry is answered all the same."""
    if not ancestor.status.is_terminal:
        return NotTerminal()
    return RequestErased() if ancestor.is_prompt_erased else None
