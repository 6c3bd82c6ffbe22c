"""One model of the catalogue: what it can do, what it costs, and what a request for it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from domain.errors import InvalidInput
from domain.files import StoredFile
from domain.generation import GenerationRequest, Waits
from domain.limits import Errors, InputLimits, Parameter, pixels

_METADATA_KEYS, _METADATA_CHARACTERS = 16, 500
_MEGAPIXEL = 1024 * 1024


@dataclass(frozen=True)
class Price:
    """Whole credits for one image.

    Attributes:
        per_image: What each image costs before anything else is looked at.
        by: A parameter, such as `quality`, whose value adds to the price what `steps` says.
        per_megapixel: Whether all of that counts once for each megapixel (1024 x 1024) begun.
        usual_megapixels: What is counted where the size is left to the provider.
    """

    per_image: int
    by: str | None = None
    steps: Mapping[str, int] = field(default_factory=dict)
    per_megapixel: bool = False
    usual_megapixels: int = 1

    def of(self, parameters: Mapping[str, Any]) -> int:
        """The price of one image made with these parameters."""
        price = self.per_image + (self.steps[parameters[self.by]] if self.by else 0)
        return price * self._megapixels(parameters.get("size", "auto")) if self.per_megapixel else price

    def _megapixels(self, size: str) -> int:
        if size == "auto":
            return self.usual_megapixels
        width, height = pixels(size)
        return ceil(width * height / _MEGAPIXEL)


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue.

    Attributes:
        kinds: What it can do: `text_to_image`, `edit`, `reference`; the first is what it is known for.
        edit_endpoint: Where requests with images go, if the provider has another name for that.
        parameters: By the name that clients use; `prompt` and `n` are always there.
        inputs: None for a model that takes no images.
        waits: Poll plan and deadline.
        typical_seconds: From submit to result, on a usual day.
        fallback: A model on another provider that may take over.
        charges_rejected: Whether what moderation refuses is charged nevertheless.
    """

    id: str
    title: str
    kinds: tuple[str, ...]
    provider: str
    endpoint: str
    parameters: Mapping[str, Parameter]
    price: Price
    waits: Waits
    typical_seconds: float
    webhook: bool
    edit_endpoint: str | None = None
    inputs: InputLimits | None = None
    fallback: str | None = None
    charges_rejected: bool = False

    def check(
        self, wanted: Mapping[str, Any], metadata: Mapping[str, str], inputs: int, *, mask: bool
    ) -> None:
        """All that can be told before the images are at hand. Raises InvalidInput naming each bad field.

        wanted: The client's fields, `None` where a field was not given. inputs: How many images.
        """
        given = given_of(wanted)
        errors = [*self._unknown(given), *self._bad_fields(given), *_bad_metadata(metadata)]
        if self.inputs is not None:
            errors += self.inputs.wrong_count(inputs, mask=mask)
        else:
            errors += [("inputs", f"{self.id} takes no images")] if inputs else []
            errors += [("mask", f"{self.id} takes no mask")] if mask else []
        if errors:
            raise InvalidInput(errors=tuple(errors))

    def request(
        self,
        wanted: Mapping[str, Any],
        metadata: Mapping[str, str],
        files: Sequence[StoredFile] = (),
        mask: StoredFile | None = None,
    ) -> GenerationRequest:
        """A request with every default filled in. Raises InvalidInput naming each bad field."""
        self.check(wanted, metadata, len(files), mask=mask is not None)
        if self.inputs is not None and (errors := self.inputs.wrong_files(files, mask)):
            raise InvalidInput(errors=tuple(errors))
        values = self._filled(given_of(wanted))
        prompt, n = values.pop("prompt"), values["n"]
        return GenerationRequest(
            model=self.id,
            provider=self.provider,
            endpoint=self.edit_endpoint if files and self.edit_endpoint else self.endpoint,
            prompt=prompt,
            parameters=values,
            n=n,
            price_credits=self.price.of(values) * n,
            metadata=dict(metadata),
            inputs=tuple(file.id for file in files),
            mask=mask.id if mask else None,
            charges_rejected=self.charges_rejected,
        )

    def _filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: given.get(name, parameter.default) for name, parameter in self.parameters.items()}
        return given_of(values)

    def _unknown(self, given: Mapping[str, Any]) -> Errors:
        unknown = sorted(given.keys() - self.parameters.keys())
        return [(name, f"{self.id} does not take this parameter") for name in unknown]

    def _bad_fields(self, given: Mapping[str, Any]) -> Errors:
        errors = []
        for name, parameter in self.parameters.items():
            if name in given:
                found = parameter.check(given[name])
                errors += [(f"{name}.{part}" if part else name, limit) for part, limit in found]
            elif name == "prompt":
                errors.append((name, "is needed"))
        values = self._filled(given)
        if values.get("background") == "transparent" and values.get("output_format") == "jpeg":
            errors.append(("background", "transparent needs an output_format other than jpeg"))
        return errors


def given_of(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that were not given."""
    return {name: value for name, value in wanted.items() if value is not None}


def _bad_metadata(metadata: Mapping[str, str]) -> Errors:
    too_long = any(len(key) + len(value) > _METADATA_CHARACTERS for key, value in metadata.items())
    if len(metadata) > _METADATA_KEYS or too_long:
        limits = f"at most {_METADATA_KEYS} pairs of {_METADATA_CHARACTERS} characters"
        return [("metadata", limits)]
    return []
