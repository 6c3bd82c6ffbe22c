"""Reads models.toml into the catalogue, and refuses to start on a mistake in it."""

import tomllib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from domain.catalogue import Catalogue, Model, ProviderPlan, pixels
from domain.generation import Waits

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Waits(_Strict):
    first_poll_seconds: Seconds
    poll_factor: Annotated[float, Field(ge=1, le=10)]
    longest_poll_seconds: Seconds
    poll_jitter: Annotated[float, Field(ge=0, le=1)]
    deadline_seconds: Seconds


class _Model(_Strict):
    title: Annotated[str, Field(min_length=1, max_length=80)]
    kind: Annotated[str, Field(pattern="^text_to_image$")]
    provider: Name
    endpoint: Annotated[str, Field(min_length=1, max_length=200)]
    price_credits: Annotated[int, Field(ge=0, le=1_000_000)]
    largest_n: Annotated[int, Field(ge=1, le=16)]
    longest_prompt_characters: Annotated[int, Field(ge=1, le=32_000)]
    sizes: Annotated[tuple[str, ...], Field(min_length=1)]
    formats: Annotated[tuple[str, ...], Field(min_length=1)]
    webhook: bool
    waits: _Waits

    @field_validator("sizes")
    @classmethod
    def _are_sizes(cls, sizes: tuple[str, ...]) -> tuple[str, ...]:
        for size in sizes:
            pixels(size)
        return sizes

    @field_validator("formats")
    @classmethod
    def _are_formats(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(formats) - {"png", "jpeg", "webp"}:
            raise ValueError(f"unknown formats {sorted(unknown)}")
        return formats


class _Provider(_Strict):
    submits_per_second: Annotated[float, Field(gt=0, le=1000)]


class _File(_Strict):
    providers: dict[Name, _Provider]
    models: dict[Name, _Model]
    version: PositiveInt = 1

    @model_validator(mode="after")
    def _providers_exist(self) -> "_File":
        for name, model in self.models.items():
            if model.provider not in self.providers:
                raise ValueError(f"models.{name}: no providers.{model.provider}")
        return self


def load_catalogue(
    path: Path,
    *,
    providers: Collection[str],
    queue_timeout_seconds: float,
    deadline_cap_seconds: float | None = None,
    first_poll_cap_seconds: float | None = None,
) -> Catalogue:
    """The models whose provider is among `providers`; the others are off.

    The caps shorten waits for a whole installation. Raises pydantic.ValidationError, OSError.
    """
    file = _File.model_validate(tomllib.loads(path.read_text()))
    models = {
        name: _model(name, model, queue_timeout_seconds, deadline_cap_seconds, first_poll_cap_seconds)
        for name, model in file.models.items()
        if model.provider in providers
    }
    plans = {
        name: ProviderPlan(name, plan.submits_per_second)
        for name, plan in file.providers.items()
        if name in providers
    }
    return Catalogue(models, plans)


def _model(
    name: str,
    model: _Model,
    queue_timeout_seconds: float,
    deadline_cap_seconds: float | None,
    first_poll_cap_seconds: float | None,
) -> Model:
    fields = model.model_dump(exclude={"waits"})
    waits = Waits(**model.waits.model_dump(), queue_timeout_seconds=queue_timeout_seconds)
    if deadline_cap_seconds is not None:
        waits = replace(waits, deadline_seconds=min(waits.deadline_seconds, deadline_cap_seconds))
    if first_poll_cap_seconds is not None:
        waits = replace(
            waits,
            first_poll_seconds=min(waits.first_poll_seconds, first_poll_cap_seconds),
            longest_poll_seconds=min(waits.longest_poll_seconds, 4 * first_poll_cap_seconds),
        )
    return Model(id=name, waits=waits, **fields)
