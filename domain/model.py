"""A model of the catalog: what it accepts, what it costs, and how a request for it is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from domain.charging import ChargePolicies
from domain.errors import InvalidInput
from domain.generation import GenerationRequest, TimingPolicy
from domain.input_files import InputFile
from domain.model_schema import FieldErrors, InputLimits, Parameter, pixels

_MAX_METADATA_KEYS, _MAX_METADATA_CHARACTERS = 16, 500
_MEGAPIXEL_PIXELS = 1024 * 1024


@dataclass(frozen=True)
class Price:
    """Whole credits for one image.

    Attributes:
        per_image: The base price of an image.
        by: A parameter, such as `quality`, whose value adds what `steps` says.
        per_megapixel: Whether the sum counts once for each started megapixel (1024 x 1024).
        default_megapixels: Counted where the provider chooses the size.
        per_partial_image: For each partial image that is asked for, whether it comes or not.
    """

    per_image: int
    by: str | None = None
    steps: Mapping[str, int] = field(default_factory=dict)
    per_megapixel: bool = False
    default_megapixels: int = 1
    per_partial_image: int = 0

    def credits_for(self, parameters: Mapping[str, Any]) -> int:
        """Return the price of one image made with these parameters."""
        price = self.per_image + (self.steps[parameters[self.by]] if self.by else 0)
        if self.per_megapixel:
            price *= self._megapixels(parameters.get("size", "auto"))
        partial_images: int = parameters.get("partial_images", 0)
        return price + self.per_partial_image * partial_images

    def _megapixels(self, size: str) -> int:
        if size == "auto":
            return self.default_megapixels
        width, height = pixels(size)
        return ceil(width * height / _MEGAPIXEL_PIXELS)


@dataclass(frozen=True)
class Model:
    """One entry of the catalog.

    Attributes:
        kinds: What it can do: `text_to_image`, `edit`, `reference`; the main one first.
        edit_endpoint: The provider's name for requests with images, if it has another one.
        parameters: By the name that clients use; always with `prompt` and `n`.
        inputs: None for a model that takes no images.
        timing: Poll intervals and deadlines.
        typical_seconds: From submit to result.
        fallback: A model on another provider that may take over.
        charging: What a client pays for work that is not delivered.
    """

    id: str
    title: str
    kinds: tuple[str, ...]
    provider: str
    endpoint: str
    parameters: Mapping[str, Parameter]
    price: Price
    timing: TimingPolicy
    typical_seconds: float
    webhook: bool
    edit_endpoint: str | None = None
    inputs: InputLimits | None = None
    fallback: str | None = None
    charging: ChargePolicies = field(default_factory=ChargePolicies)

    def validate(
        self, fields: Mapping[str, Any], metadata: Mapping[str, str], inputs: int, *, mask: bool
    ) -> None:
        """Check what can be checked without the images. Raises InvalidInput naming each bad field.

        fields: The client's fields, `None` where one was not given. inputs: How many images.
        """
        given = without_none(fields)
        errors = [*self._unknown_fields(given), *self._field_errors(given), *metadata_errors(metadata)]
        if self.inputs is not None:
            errors += self.inputs.count_errors(inputs, mask=mask)
        else:
            errors += [("inputs", f"{self.id} takes no images")] if inputs else []
            errors += [("mask", f"{self.id} takes no mask")] if mask else []
        if errors:
            raise InvalidInput(errors=tuple(errors))

    def build_request(
        self,
        fields: Mapping[str, Any],
        metadata: Mapping[str, str],
        files: Sequence[InputFile] = (),
        mask: InputFile | None = None,
    ) -> GenerationRequest:
        """Build a request with every default filled in. Raises InvalidInput naming each bad field."""
        self.validate(fields, metadata, len(files), mask=mask is not None)
        if self.inputs is not None and (errors := self.inputs.file_errors(files, mask)):
            raise InvalidInput(errors=tuple(errors))
        values = self._with_defaults(without_none(fields))
        prompt, n = values.pop("prompt"), values["n"]
        return GenerationRequest(
            model=self.id,
            provider=self.provider,
            endpoint=self.edit_endpoint if files and self.edit_endpoint else self.endpoint,
            prompt=prompt,
            parameters=values,
            n=n,
            price_credits=self.price.credits_for(values) * n,
            metadata=dict(metadata),
            inputs=tuple(file.id for file in files),
            mask=mask.id if mask else None,
            charging=self.charging,
        )

    def price_of(self, fields: Mapping[str, Any]) -> int:
        """Return the price of a request with these valid fields, in whole credits."""
        values = self._with_defaults(without_none(fields))
        credits_for_all: int = self.price.credits_for(values) * values["n"]
        return credits_for_all

    def _with_defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: given.get(name, parameter.default) for name, parameter in self.parameters.items()}
        return without_none(values)

    def _unknown_fields(self, given: Mapping[str, Any]) -> FieldErrors:
        unknown = sorted(given.keys() - self.parameters.keys())
        return [(name, f"{self.id} does not take this parameter") for name in unknown]

    def _field_errors(self, given: Mapping[str, Any]) -> FieldErrors:
        errors = []
        for name, parameter in self.parameters.items():
            if name in given:
                found = parameter.violations(given[name])
                errors += [(f"{name}.{part}" if part else name, limit) for part, limit in found]
            elif name == "prompt":
                errors.append((name, "is needed"))
        values = self._with_defaults(given)
        if values.get("background") == "transparent" and values.get("output_format") == "jpeg":
            errors.append(("background", "transparent needs an output_format other than jpeg"))
        # A provider's stream does not tell whose partial image one is.
        if values.get("partial_images") and values.get("n") != 1:
            errors.append(("partial_images", "needs an n of 1"))
        return errors


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}


def metadata_errors(metadata: Mapping[str, str]) -> FieldErrors:
    """Check the metadata of a generation or of a batch."""
    too_long = any(len(key) + len(value) > _MAX_METADATA_CHARACTERS for key, value in metadata.items())
    if len(metadata) > _MAX_METADATA_KEYS or too_long:
        limits = f"at most {_MAX_METADATA_KEYS} pairs of {_MAX_METADATA_CHARACTERS} characters"
        return [("metadata", limits)]
    return []
