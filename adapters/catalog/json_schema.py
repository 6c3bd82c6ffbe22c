"""JSON Schemas of the catalog's parameters: checked when they are loaded, then used to check values.

Only keywords whose limit has a wording here are accepted; JSON Schema itself would ignore a misspelled one.
`imageSize` is our own, for models that take any `WIDTHxHEIGHT` within bounds:
`{multiple_of, min_edge_pixels, max_edge_pixels, max_pixels, max_ratio}`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError
from jsonschema.validators import extend
from pydantic import BaseModel, ConfigDict, Field
from pydantic import PositiveInt as Positive

from domain.model_schema import Parameter, pixels

_KEYWORDS = {
    "additionalProperties", "anyOf", "default", "description", "enum", "imageSize", "maximum", "maxLength",
    "minimum", "minLength", "pattern", "properties", "type",
}  # fmt: skip


class _ImageSize(BaseModel):
    """Bounds of a free size. `max_ratio` is of the longer side to the shorter."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    multiple_of: Positive
    min_edge_pixels: Positive
    max_edge_pixels: Positive
    max_pixels: Positive
    max_ratio: float = Field(default=100.0, ge=1)

    def admits(self, value: object) -> bool:
        try:
            width, height = pixels(value) if isinstance(value, str) else (0, 0)
        except ValueError:
            return False
        shorter, longer = sorted((width, height))
        return (
            self.min_edge_pixels <= shorter
            and longer <= self.max_edge_pixels
            and width % self.multiple_of == height % self.multiple_of == 0
            and width * height <= self.max_pixels
            and longer <= shorter * self.max_ratio
        )

    def describe(self) -> str:
        ratio = f", one side at most {self.max_ratio:g} times the other" if self.max_ratio < 100 else ""
        return (
            f"WIDTHxHEIGHT, both a multiple of {self.multiple_of} from {self.min_edge_pixels} "
            f"to {self.max_edge_pixels}, at most {self.max_pixels} pixels{ratio}"
        )


def parameter(name: str, schema: Mapping[str, Any]) -> Parameter:
    """Build a parameter that validates values by its schema. Raises ValueError for a wrong schema."""
    _refuse_unknown_keywords(name, schema)
    try:
        _Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"{name}: no JSON Schema: {error.message}") from error
    violations = partial(_violations, schema, _Validator(schema))
    if "default" in schema and (found := violations(schema["default"])):
        raise ValueError(f"{name}: its default is not {found[0][1]}")
    return Parameter(schema, violations)


def _violations(
    schema: Mapping[str, Any], validator: Draft202012Validator, value: object
) -> Sequence[tuple[str, str]]:
    """Return each broken part once, with the whole limit of that part."""
    parts = {str(error.path[0]) if error.path else "" for error in validator.iter_errors(value)}
    inner = schema.get("properties", {})
    return [(part, _describe(inner[part] if part else schema)) for part in sorted(parts)]


def _image_size(
    _: Draft202012Validator, bounds: Mapping[str, Any], value: object, __: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not _ImageSize.model_validate(bounds).admits(value):
        yield ValidationError("not a size within bounds")


def _is_whole(_: object, value: object) -> bool:
    """Return whether it is an int. JSON Schema also accepts 50.0, which a strict provider refuses."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = extend(  # type: ignore[no-untyped-call]  # its stub leaves the return type out
    Draft202012Validator,
    {"imageSize": _image_size},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def _refuse_unknown_keywords(name: str, schema: Mapping[str, Any]) -> None:
    if unknown := schema.keys() - _KEYWORDS:
        raise ValueError(f"{name}: unknown keywords {sorted(unknown)}")
    if "properties" in schema and schema.get("additionalProperties") is not False:
        raise ValueError(f"{name}: properties need additionalProperties = false")
    if "imageSize" in schema:
        _ImageSize.model_validate(schema["imageSize"])
    for inner, part in [*schema.get("properties", {}).items(), *enumerate(schema.get("anyOf", ()))]:
        _refuse_unknown_keywords(f"{name}.{inner}", part)


def _describe(schema: Mapping[str, Any]) -> str:
    """Return the limit as a client reads it."""
    for keyword, describe in _DESCRIPTIONS.items():
        if keyword in schema:
            return describe(schema)
    return _TYPES.get(str(schema.get("type")), "a valid value")


def _number(schema: Mapping[str, Any]) -> str:
    article = "a whole number from " if schema.get("type") == "integer" else ""
    return f"{article}{schema.get('minimum', 'any')} to {schema.get('maximum', 'any')}"


def _alternatives(schema: Mapping[str, Any]) -> str:
    return ", or ".join(_describe(part) for part in schema["anyOf"])


# The first keyword that a schema has describes its limit.
_DESCRIPTIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "enum": lambda schema: f"one of {', '.join(map(str, schema['enum']))}",
    "anyOf": _alternatives,
    "imageSize": lambda schema: _ImageSize.model_validate(schema["imageSize"]).describe(),
    "maximum": _number,
    "minimum": _number,
    "maxLength": lambda schema: f"{schema.get('minLength', 0)} to {schema['maxLength']} characters",
    "properties": lambda schema: f"takes only {', '.join(schema['properties'])}",
}
_TYPES = {"boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "a text"}
