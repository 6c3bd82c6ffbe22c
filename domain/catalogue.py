"""Every model and every provider's plan, as data. Loaded from models.toml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from domain.errors import InvalidInput, ModelNotFound, ModelUnavailable
from domain.files import StoredFile
from domain.generation import Fallback, GenerationInput, GenerationRequest, Waits
from domain.limits import pixels
from domain.model import Model, given_of

__all__ = ["Catalogue", "Model", "ProviderPlan", "pixels"]

_CAUTIOUS = Waits(10, 1.6, 60, 0.2, 600, 3600, submit_timeout_seconds=600)


@dataclass(frozen=True)
class ProviderPlan:
    """How much we may ask of one provider, over all workers together.

    in_flight: Jobs at the provider at one time.
    """

    name: str
    submits_per_second: float
    in_flight: int


@dataclass(frozen=True)
class Catalogue:
    """Every model, and the plan of every provider that is switched on.

    checks_input: Whether our own moderation looks at each request first.
    """

    models: Mapping[str, Model]
    providers: Mapping[str, ProviderPlan]
    checks_input: bool = field(default=False, kw_only=True)

    def model(self, model_id: str) -> Model:
        """Also one that is off. Raises ModelNotFound."""
        try:
            return self.models[model_id]
        except KeyError:
            raise ModelNotFound("no such model; GET /v1/models lists them") from None

    def is_available(self, model: Model) -> bool:
        """Whether the model's provider has credentials here."""
        return model.provider in self.providers

    def open_model(self, model_id: str) -> Model:
        """A model that takes requests. Raises ModelNotFound, ModelUnavailable."""
        model = self.model(model_id)
        if not self.is_available(model):
            raise ModelUnavailable
        return model

    def request(
        self,
        model_id: str,
        wanted: Mapping[str, Any],
        metadata: Mapping[str, str],
        files: Sequence[StoredFile] = (),
        mask: StoredFile | None = None,
    ) -> GenerationRequest:
        """What is asked of the model, and of its fallback if that is on and takes the same.

        Raises ModelNotFound, ModelUnavailable, InvalidInput.
        """
        model = self.open_model(model_id)
        request = model.request(wanted, metadata, files, mask)
        other = self.models.get(model.fallback or "")
        if other is None or not self.is_available(other):
            return request
        # The first model's defaults go along where the other knows them, so that the image is alike.
        defaults = {name: value for name, value in request.parameters.items() if name in other.parameters}
        try:
            fallback = other.request(defaults | given_of(wanted), metadata, files, mask)
        except InvalidInput:
            return request
        return replace(request, fallback=fallback)

    def workflow_input(
        self, generation_id: str, tenant_id: str, request: GenerationRequest
    ) -> GenerationInput:
        """The input of a request's workflow; a model that has left the catalogue gets cautious waits."""
        other = request.fallback
        return GenerationInput(
            generation_id,
            tenant_id,
            request.model,
            request.provider,
            self._waits(request),
            Fallback(other.model, other.provider, self._waits(other)) if other is not None else None,
            self.checks_input,
        )

    def _waits(self, request: GenerationRequest) -> Waits:
        model = self.models.get(request.model)
        return model.waits if model is not None else _CAUTIOUS
