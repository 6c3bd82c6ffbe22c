"""Models as data: what each takes, what it costs, how long to wait for it. Loaded from models.toml."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidInput, ModelNotFound
from domain.generation import GenerationRequest, Waits

_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
_LARGEST_SEED = 2**32 - 1
_METADATA_KEYS, _METADATA_CHARACTERS = 16, 500


@dataclass(frozen=True)
class ProviderPlan:
    """How fast we may go with one provider, over all workers together."""

    name: str
    submits_per_second: float


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue.

    Attributes:
        sizes: `WIDTHxHEIGHT` values the model takes; the first is the default.
        formats: Output formats; the first is the default.
        largest_n: Most images in one generation.
        price_credits: Whole credits per image.
        waits: Poll plan and deadline.
    """

    id: str
    title: str
    kind: str
    provider: str
    endpoint: str
    price_credits: int
    largest_n: int
    longest_prompt_characters: int
    sizes: tuple[str, ...]
    formats: tuple[str, ...]
    webhook: bool
    waits: Waits

    def request(self, wanted: Mapping[str, Any], metadata: Mapping[str, str]) -> GenerationRequest:
        """A request with every default filled in. Raises InvalidInput naming each bad field.

        wanted: the client's fields, `None` where a field was not given.
        """
        given = {name: value for name, value in wanted.items() if value is not None}
        errors = [*self._unknown(given), *self._bad_fields(given), *_bad_metadata(metadata)]
        if errors:
            raise InvalidInput(errors=tuple(errors))
        n = given.get("n", 1)
        parameters = {
            "n": n,
            "size": given.get("size", self.sizes[0]),
            "output_format": given.get("output_format", self.formats[0]),
        }
        if "seed" in given:
            parameters["seed"] = given["seed"]
        return GenerationRequest(
            model=self.id,
            provider=self.provider,
            endpoint=self.endpoint,
            prompt=given["prompt"],
            parameters=parameters,
            n=n,
            price_credits=self.price_credits * n,
            metadata=dict(metadata),
        )

    def _unknown(self, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        known = {"prompt", "n", "size", "seed", "output_format"}
        return [(name, f"{self.id} does not take this parameter") for name in sorted(given.keys() - known)]

    def _bad_fields(self, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        errors = []
        prompt = given.get("prompt", "")
        if not prompt.strip() or len(prompt) > self.longest_prompt_characters:
            errors.append(("prompt", f"1 to {self.longest_prompt_characters} characters"))
        if not 1 <= given.get("n", 1) <= self.largest_n:
            errors.append(("n", f"1 to {self.largest_n}"))
        if given.get("size", self.sizes[0]) not in self.sizes:
            errors.append(("size", f"one of {', '.join(self.sizes)}"))
        if given.get("output_format", self.formats[0]) not in self.formats:
            errors.append(("output_format", f"one of {', '.join(self.formats)}"))
        if not 0 <= given.get("seed", 0) <= _LARGEST_SEED:
            errors.append(("seed", f"0 to {_LARGEST_SEED}"))
        return errors


@dataclass(frozen=True)
class Catalogue:
    """Every model whose provider is switched on, and every provider's plan."""

    models: Mapping[str, Model]
    providers: Mapping[str, ProviderPlan]

    def model(self, model_id: str) -> Model:
        """Raises ModelNotFound."""
        try:
            return self.models[model_id]
        except KeyError:
            raise ModelNotFound(f"no model {model_id!r}; GET /v1/models lists them") from None


def pixels(size: str) -> tuple[int, int]:
    """Width and height of `WIDTHxHEIGHT`. Raises ValueError."""
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(f"{size!r} is not WIDTHxHEIGHT")
    return int(match[1]), int(match[2])


def _bad_metadata(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    too_long = any(len(key) + len(value) > _METADATA_CHARACTERS for key, value in metadata.items())
    if len(metadata) > _METADATA_KEYS or too_long:
        limits = f"at most {_METADATA_KEYS} pairs of {_METADATA_CHARACTERS} characters"
        return [("metadata", limits)]
    return []
