"""The body of the Images API, and its validation errors."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.core.rejected import Rejected
from simulator.openai.errors import rejection

MODELS = ("gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-1.5", "gpt-image-1", "gpt-image-1-mini")
DEFAULT_MODEL = "gpt-image-1.5"
FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536")
MAX_PROMPT_CHARACTERS = 32_000
MAX_LONG_SIDE_PIXELS, MAX_SHORT_SIDE_PIXELS = 3840, 2160
SIDE_STEP_PIXELS = 16
MAX_RATIO = 3

_CODES = {
    "extra_forbidden": "unknown_parameter",
    "missing": "missing_required_parameter",
    "literal_error": "invalid_value",
    "greater_than_equal": "integer_below_min_value",
    "less_than_equal": "integer_above_max_value",
    "string_too_long": "string_above_max_length",
    "string_too_short": "empty_string",
}


class OpenAIRequest(BaseModel):
    """The fields of a generation; anything else is refused, also `response_format`."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)
    model: str = DEFAULT_MODEL
    n: int = Field(default=1, ge=1, le=10)
    size: str = "auto"
    quality: Literal["auto", "low", "medium", "high"] = "auto"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: int = Field(default=100, ge=0, le=100)
    background: Literal["auto", "transparent", "opaque"] = "auto"
    moderation: Literal["auto", "low"] = "auto"
    stream: bool = False
    partial_images: int = Field(default=0, ge=0, le=3)
    user: str | None = None
    safety_identifier: str | None = None


class EditArguments(OpenAIRequest):
    """The fields of an edit, without its images."""

    input_fidelity: Literal["high", "low"] = "low"


def parse(kind: type[OpenAIRequest], fields: dict[str, Any], *, strict: bool) -> OpenAIRequest:
    """Parse the fields. Raises Rejected. strict: for JSON, which has numbers; a form has only texts."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        arguments = kind.model_validate(given, strict=strict)
    except ValidationError as error:
        raise _validation_error(error) from error
    if arguments.model not in MODELS:
        message = f"Invalid value: {arguments.model!r}. Supported values are: {_listed(MODELS)}."
        raise rejection(400, message, param="model", code="invalid_value")
    if arguments.background == "transparent" and arguments.output_format == "jpeg":
        message = "Transparent background is not supported for output format 'jpeg'."
        raise rejection(400, message, param="background", code="invalid_value")
    return arguments


def size_of(arguments: OpenAIRequest, inputs: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the size in pixels. `auto` has the first input's ratio, or is square. Raises Rejected."""
    if arguments.size == "auto":
        width, height = inputs[0] if inputs else (1, 1)
        if width == height:
            return (1024, 1024)
        return (1536, 1024) if width > height else (1024, 1536)
    is_free = arguments.model.startswith("gpt-image-2")
    if arguments.size not in FIXED_SIZES and not is_free:
        raise _bad_size(f"Supported values are: {_listed((*FIXED_SIZES, 'auto'))}.", arguments)
    width_text, _, height_text = arguments.size.partition("x")
    if not all(text.isascii() and text.isdecimal() and len(text) < 6 for text in (width_text, height_text)):
        raise _bad_size("Expected WIDTHxHEIGHT.", arguments)
    width, height = int(width_text), int(height_text)
    if problem := _problem(width, height):
        raise _bad_size(problem, arguments)
    return (width, height)


def _problem(width: int, height: int) -> str | None:
    short, long = sorted((width, height))
    if short == 0 or width % SIDE_STEP_PIXELS or height % SIDE_STEP_PIXELS:
        return f"Width and height must be divisible by {SIDE_STEP_PIXELS}."
    if long > MAX_RATIO * short:
        return "The aspect ratio must be between 1:3 and 3:1."
    if long > MAX_LONG_SIDE_PIXELS or width * height > MAX_LONG_SIDE_PIXELS * MAX_SHORT_SIDE_PIXELS:
        return f"The largest size is {MAX_LONG_SIDE_PIXELS}x{MAX_SHORT_SIDE_PIXELS}."
    return None


def _bad_size(problem: str, arguments: OpenAIRequest) -> Rejected:
    return rejection(400, f"Invalid value: {arguments.size!r}. {problem}", param="size", code="invalid_value")


def _validation_error(error: ValidationError) -> Rejected:
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"])
    code = _CODES.get(first["type"], "invalid_type")
    message = {
        "unknown_parameter": f"Unknown parameter: '{param}'.",
        "missing_required_parameter": f"Missing required parameter: '{param}'.",
    }.get(code, f"Invalid value for '{param}': {first['msg']}.")
    return rejection(400, message, param=param, code=code)


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
