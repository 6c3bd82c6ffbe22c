"""Loads models.toml into the catalog, and refuses to start on a mistake in it."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from adapters.catalog.history_bound import check_history
from adapters.catalog.json_schema import parameter
from domain.catalog import Catalog, Model, ProviderLimits
from domain.charging import ChargePolicies, ChargePolicy
from domain.generation import TimingPolicy
from domain.model import Price
from domain.model_schema import InputLimits, Parameter

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
ParameterName = Literal[
    "prompt", "n", "size", "aspect_ratio", "resolution", "seed",
    "output_format", "quality", "background", "partial_images", "options",
]  # fmt: skip
Kind = Literal["text_to_image", "edit", "reference"]
ContentType = Literal["image/png", "image/jpeg", "image/webp"]
Endpoint = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
CostUnit = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
Credits = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]

_MAX_IMAGES = 16
_CHARGING = ("cancel_after_submit", "moderation")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Timing(_Strict):
    first_poll_seconds: Seconds
    poll_factor: Annotated[float, Field(ge=1, le=10)]
    max_poll_seconds: Seconds
    poll_jitter: Annotated[float, Field(ge=0, le=1)]
    deadline_seconds: Seconds
    submit_timeout_seconds: Seconds = 60.0


class _Inputs(_Strict):
    min_images: Annotated[int, Field(ge=0, le=_MAX_IMAGES)] = 0
    max_images: Annotated[int, Field(ge=1, le=_MAX_IMAGES)]
    max_bytes: PositiveInt
    max_total_bytes: PositiveInt | None = None
    max_pixels: PositiveInt
    min_edge_pixels: PositiveInt = 1
    content_types: Annotated[tuple[ContentType, ...], Field(min_length=1)]
    mask: Literal["no", "optional", "required"] = "no"
    max_mask_bytes: PositiveInt | None = None

    @model_validator(mode="after")
    def _min_before_max(self) -> "_Inputs":
        if self.min_images > self.max_images:
            raise ValueError("min_images is more than max_images")
        return self


class _Price(_Strict):
    per_image: Credits = 0
    by: ParameterName | None = None
    steps: dict[str, Credits] = Field(default_factory=dict)
    per_megapixel: bool = False
    default_megapixels: Annotated[int, Field(ge=1, le=64)] = 1
    per_partial_image: Credits = 0


class _Model(_Strict):
    title: Annotated[str, Field(min_length=1, max_length=80)]
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    provider: Name
    endpoint: Endpoint
    edit_endpoint: Endpoint | None = None
    # A string is the name of a schema in `schemas`, or of a timing in `timing`.
    parameters: dict[ParameterName, str | dict[str, Any]]
    inputs: _Inputs | None = None
    price: _Price
    webhook: bool
    typical_seconds: Seconds
    timing: str | _Timing
    fallback: Name | None = None
    cancel_after_submit: ChargePolicy = ChargePolicy.REFUND
    moderation: ChargePolicy = ChargePolicy.REFUND

    @model_validator(mode="after")
    def _kinds_fit_inputs(self) -> "_Model":
        takes_images = bool({"edit", "reference"} & set(self.kinds))
        if takes_images != (self.inputs is not None):
            raise ValueError("inputs belong to the kinds edit and reference, and these to inputs")
        if self.inputs is not None and ("text_to_image" in self.kinds) != (self.inputs.min_images == 0):
            raise ValueError("inputs.min_images is 0 for the kind text_to_image, and only for that")
        return self


class _Provider(_Strict):
    submits_per_second: Annotated[float, Field(gt=0, le=1000)]
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)]
    rate_limit_of: Literal["model", "account"] = "model"
    result_lifetime_seconds: Seconds = 3600.0
    credits_per_cost_unit: dict[CostUnit, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(
        default_factory=dict
    )


class _File(_Strict):
    providers: dict[Name, _Provider]
    models: dict[Name, _Model]
    schemas: dict[str, dict[str, Any]] = Field(default_factory=dict)
    timing: dict[str, _Timing] = Field(default_factory=dict)
    version: PositiveInt = 1

    @model_validator(mode="after")
    def _names_are_known(self) -> "_File":
        for name, model in self.models.items():
            if model.provider not in self.providers:
                raise ValueError(f"models.{name}: no providers.{model.provider}")
            if isinstance(model.timing, str) and model.timing not in self.timing:
                raise ValueError(f"models.{name}: no timing.{model.timing}")
            for schema in model.parameters.values():
                if isinstance(schema, str) and schema not in self.schemas:
                    raise ValueError(f"models.{name}: no schemas.{schema}")
            self._check_fallback(name, model)
            self._check_charging(name, model)
        return self

    def _check_charging(self, name: str, model: _Model) -> None:
        has_rates = bool(self.providers[model.provider].credits_per_cost_unit)
        if ChargePolicy.PROVIDER_COST in (model.cancel_after_submit, model.moderation) and not has_rates:
            needed = f"providers.{model.provider}.credits_per_cost_unit"
            raise ValueError(f"models.{name}: provider_cost needs {needed}")

    def _check_fallback(self, name: str, model: _Model) -> None:
        if model.fallback is None:
            return
        other = self.models.get(model.fallback)
        if other is None:
            raise ValueError(f"models.{name}: its fallback {model.fallback} is no model")
        if other.provider == model.provider:
            raise ValueError(f"models.{name}: its fallback {model.fallback} is on the same provider")


@dataclass(frozen=True)
class _InstallationTiming:
    """What an installation sets for the timing of every model."""

    queue_timeout_seconds: float
    deadline_cap_seconds: float | None
    first_poll_cap_seconds: float | None

    def apply(self, written: _Timing) -> TimingPolicy:
        fields = written.model_dump(exclude={"max_poll_seconds"})
        timing = TimingPolicy(
            **fields,
            longest_poll_seconds=written.max_poll_seconds,
            queue_timeout_seconds=self.queue_timeout_seconds,
        )
        if (cap := self.deadline_cap_seconds) is not None:
            timing = replace(timing, deadline_seconds=min(timing.deadline_seconds, cap))
        if (cap := self.first_poll_cap_seconds) is not None:
            timing = replace(
                timing,
                first_poll_seconds=min(timing.first_poll_seconds, cap),
                longest_poll_seconds=min(timing.longest_poll_seconds, 4 * cap),
            )
        return timing


def load_catalog(
    path: Path,
    *,
    providers: Collection[str],
    queue_timeout_seconds: float,
    deadline_cap_seconds: float | None = None,
    first_poll_cap_seconds: float | None = None,
    checks_input: bool = False,
) -> Catalog:
    """Load every model; those whose provider is not among `providers` are off.

    The caps shorten the timing of a whole installation. Raises ValueError for any mistake in the file,
    OSError.
    """
    file = _File.model_validate(tomllib.loads(path.read_text()))
    installation = _InstallationTiming(queue_timeout_seconds, deadline_cap_seconds, first_poll_cap_seconds)
    models = {name: _model(name, model, file, installation) for name, model in file.models.items()}
    for name in models:
        check_history(name, models)
    limits = {
        name: ProviderLimits(
            name,
            provider.submits_per_second,
            provider.max_concurrent,
            is_account_wide=provider.rate_limit_of == "account",
            result_lifetime_seconds=provider.result_lifetime_seconds,
        )
        for name, provider in file.providers.items()
        if name in providers
    }
    return Catalog(models, limits, checks_input=checks_input)


def _model(name: str, model: _Model, file: _File, installation: _InstallationTiming) -> Model:
    try:
        parameters: dict[str, Parameter] = {
            field: parameter(field, file.schemas[schema] if isinstance(schema, str) else schema)
            for field, schema in model.parameters.items()
        }
        _check_parameters(parameters)
        _check_price(model.price, parameters)
    except ValueError as error:
        raise ValueError(f"models.{name}: {error}") from error
    return Model(
        id=name,
        parameters=parameters,
        price=Price(**model.price.model_dump()),
        timing=installation.apply(
            file.timing[model.timing] if isinstance(model.timing, str) else model.timing
        ),
        inputs=_limits(model.inputs) if model.inputs is not None else None,
        charging=ChargePolicies(
            model.cancel_after_submit,
            model.moderation,
            file.providers[model.provider].credits_per_cost_unit,
        ),
        **model.model_dump(exclude={"parameters", "price", "timing", "inputs", *_CHARGING}),
    )


def _limits(inputs: _Inputs) -> InputLimits:
    fields = inputs.model_dump()
    fields["max_total_bytes"] = inputs.max_total_bytes or inputs.max_bytes * inputs.max_images
    fields["max_mask_bytes"] = inputs.max_mask_bytes or inputs.max_bytes
    return InputLimits(**fields)


def _check_parameters(parameters: Mapping[str, Parameter]) -> None:
    """Check what the rest of the code assumes."""
    if not {"prompt", "n"} <= parameters.keys():
        raise ValueError("parameters: prompt and n are needed")
    n = parameters["n"]
    if n.schema.get("type") != "integer" or n.violations(0) == [] or n.violations(_MAX_IMAGES + 1) == []:
        raise ValueError(f"n: a whole number within 1 to {_MAX_IMAGES}")
    if n.default is None:
        raise ValueError("n: a default is needed")
    if parameters["prompt"].schema.get("type") != "string":
        raise ValueError("prompt: a string")


def _check_price(price: _Price, parameters: Mapping[str, Parameter]) -> None:
    """Check that everything a client may request has a price."""
    if bool(price.per_partial_image) != ("partial_images" in parameters):
        raise ValueError("price: per_partial_image belongs to the parameter partial_images, and this to it")
    if price.per_megapixel and "size" not in parameters:
        raise ValueError("price: per_megapixel needs the parameter size")
    if price.by is None:
        if price.steps:
            raise ValueError("price: steps need by")
        return
    by = parameters.get(price.by)
    if by is None or by.default is None:
        raise ValueError(f"price: {price.by} is no parameter with a default")
    if set(by.schema.get("enum", ())) != set(price.steps):
        raise ValueError(f"price: steps must be exactly the values of {price.by}")
