"""The body of `generateContent`. Names may be in camel or snake case, as in protobuf's JSON."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from simulator.gemini.errors import invalid
from simulator.gemini.models import Model


class Message(BaseModel):
    """Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Blob(Message):
    """Bytes in the request itself. data: base64."""

    mime_type: str
    data: str


class Part(Message):
    """A text, an image, or an earlier response of the model."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: dict[str, Any] | None = None
    thought: bool = False
    thought_signature: str | None = None


class Content(Message):
    """One turn."""

    role: Literal["user", "model"] = "user"
    parts: list[Part] = Field(min_length=1)


class ImageConfig(Message):
    """The requested image."""

    aspect_ratio: str | None = None
    image_size: str | None = None


class ThinkingConfig(Message):
    """Whether drafts are included."""

    thinking_level: str | None = None
    thinking_budget: int | None = None
    include_thoughts: bool | None = None


class GenerationConfig(Message):
    """The settings that have an effect here, and those that are ignored."""

    response_modalities: list[Literal["TEXT", "IMAGE"]] = ["TEXT", "IMAGE"]
    candidate_count: int = 1
    seed: int | None = None
    image_config: ImageConfig = ImageConfig()
    thinking_config: ThinkingConfig = ThinkingConfig()
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    media_resolution: str | None = None


class GeminiRequest(Message):
    """A request."""

    contents: list[Content] = Field(min_length=1)
    generation_config: GenerationConfig = GenerationConfig()
    safety_settings: list[dict[str, Any]] = []
    system_instruction: dict[str, Any] | None = None
    tools: list[dict[str, Any]] = []

    def prompt(self) -> str:
        texts = [part.text for part in self._parts() if part.text and not part.thought]
        return "\n".join(texts)

    def blobs(self) -> list[Blob]:
        """Return the inputs in their order."""
        return [part.inline_data for part in self._parts() if part.inline_data and not part.thought]

    def has_file(self) -> bool:
        return any(part.file_data for part in self._parts())

    def _parts(self) -> list[Part]:
        return [part for content in self.contents for part in content.parts]


def parse(fields: dict[str, Any]) -> GeminiRequest:
    """Raises Rejected."""
    try:
        arguments = GeminiRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        *place, name = [str(part) for part in first["loc"]] or [""]
        if first["type"] == "extra_forbidden":
            at = f" at '{'.'.join(place)}'" if place else ""
            message = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
        else:
            message = f"Invalid value at '{'.'.join([*place, name])}': {first['msg']}"
        raise invalid(message) from error
    if arguments.generation_config.candidate_count != 1:
        raise invalid("Multiple candidates is not enabled for this model")
    if not arguments.prompt() and not arguments.blobs():
        raise invalid("GenerateContentRequest.contents: contents is not specified")
    return arguments


def pixels(arguments: GeminiRequest, model: Model, inputs: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the image's size. Without an aspect ratio the first input decides. Raises Rejected."""
    config = arguments.generation_config.image_config
    ratio = config.aspect_ratio or (model.nearest_ratio(*inputs[0]) if inputs else "1:1")
    if ratio not in model.sizes:
        raise invalid(f"Invalid aspect_ratio {ratio!r}. Supported values are: {', '.join(model.sizes)}.")
    size = image_size(arguments)
    if size not in model.tokens:
        raise invalid(f"Invalid image_size {size!r}. Supported values are: {', '.join(model.tokens)}.")
    return model.pixels(ratio, size)


def image_size(arguments: GeminiRequest) -> str:
    return arguments.generation_config.image_config.image_size or "1K"
