"""Every model, and every provider's limits. Loaded from models.toml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from domain.errors import InvalidInput, ModelNotFound, ModelUnavailable
from domain.generation import Fallback, GenerationInput, GenerationRequest, TimingPolicy
from domain.input_files import InputFile
from domain.model import Model, without_none
from domain.model_schema import pixels
from domain.route_notes import RouteNote, RouteReason

__all__ = ["Catalog", "Model", "ProviderLimits", "pixels"]

DEFAULT_TIMING = TimingPolicy(10, 1.6, 60, 0.2, 600, 3600, submit_timeout_seconds=600)


@dataclass(frozen=True)
class ProviderLimits:
    """How much one provider is asked, over all workers together.

    Attributes:
        max_concurrent: Jobs at the provider at once, that is, its slots.
        is_account_wide: Whether its rate limit is known to hold for the account as a whole. If not, it is
            taken to hold for one model.
        result_lifetime_seconds: How long a result can be fetched after the job has ended.
    """

    name: str
    submits_per_second: float
    max_concurrent: int
    is_account_wide: bool = False
    result_lifetime_seconds: float = 3600.0


@dataclass(frozen=True)
class Catalog:
    """Every model, and the limits of every provider that is switched on.

    checks_input: Whether our own moderation checks each request first.
    """

    models: Mapping[str, Model]
    providers: Mapping[str, ProviderLimits]
    checks_input: bool = field(default=False, kw_only=True)

    def get_model(self, model_id: str) -> Model:
        """Return a model, also one that is off. Raises ModelNotFound."""
        try:
            return self.models[model_id]
        except KeyError:
            raise ModelNotFound("no such model; GET /v1/models lists them") from None

    def is_available(self, model: Model) -> bool:
        """Return whether the model's provider has credentials here."""
        return model.provider in self.providers

    def get_available_model(self, model_id: str) -> Model:
        """Return a model that takes requests. Raises ModelNotFound, ModelUnavailable."""
        model = self.get_model(model_id)
        if not self.is_available(model):
            raise ModelUnavailable
        return model

    def build_request(
        self,
        model_id: str,
        fields: Mapping[str, Any],
        metadata: Mapping[str, str],
        files: Sequence[InputFile] = (),
        mask: InputFile | None = None,
    ) -> GenerationRequest:
        """Build the request for the model, and for its fallback if that is on and accepts the same.

        Raises ModelNotFound, ModelUnavailable, InvalidInput.
        """
        model = self.get_available_model(model_id)
        request = model.build_request(fields, metadata, files, mask)
        other = self.models.get(model.fallback or "")
        if other is None:
            return request
        if not self.is_available(other):
            return _without_fallback(request, other, RouteReason.NOT_AVAILABLE)
        # The first model's defaults are passed on where the other knows them, so that the images are alike.
        defaults = {name: value for name, value in request.parameters.items() if name in other.parameters}
        try:
            fallback = other.build_request(defaults | without_none(fields), metadata, files, mask)
        except InvalidInput:
            return _without_fallback(request, other, RouteReason.REQUEST_NOT_SUPPORTED)
        return replace(request, fallback=fallback)

    def workflow_input(
        self, generation_id: str, tenant_id: str, request: GenerationRequest, created_at: datetime
    ) -> GenerationInput:
        """Build the input of a request's workflow; a model that left the catalog gets the default timing."""
        other, controls = request.fallback, request.controls
        return GenerationInput(
            generation_id,
            tenant_id,
            request.model,
            request.provider,
            self.timing_of(request.model),
            Fallback(other.model, other.provider, self.timing_of(other.model)) if other is not None else None,
            self.checks_input,
            _iso(controls.cancel_at(created_at)),
            _iso(controls.start_by(created_at)),
        )

    def timing_of(self, model_id: str) -> TimingPolicy:
        """Return how long jobs of a model wait for what, also of one that left the catalog."""
        model = self.models.get(model_id)
        return model.timing if model is not None else DEFAULT_TIMING


def _without_fallback(request: GenerationRequest, other: Model, reason: RouteReason) -> GenerationRequest:
    """Return a request that notes why its model's fallback cannot take it."""
    return replace(request, route_notes=(RouteNote(2, other.id, other.provider, reason),))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
