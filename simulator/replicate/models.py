"""The simulated models: their input, and whether their output is one address or several."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.core.images.sizes import shaped
from simulator.core.images.sources import Source
from simulator.core.jobs import Picture

# Pixels at one megapixel.
SIZES = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
Ratio = Literal["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"]
_FORMATS = {"jpg": "jpeg"}


class ReplicateRequest(BaseModel, ABC):
    """The fields of every model; unknown ones are ignored.

    image_field: the field with the address of an image, if the model takes one.
    """

    model_config = ConfigDict(extra="ignore")
    image_field: ClassVar[str | None] = None

    prompt: str = Field(max_length=100_000)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    output_quality: int = Field(default=80, ge=0, le=100)

    @abstractmethod
    def picture(self, seed: int, source: Source | None) -> Picture: ...


class Schnell(ReplicateRequest):
    """flux-schnell."""

    aspect_ratio: Ratio = "1:1"
    num_outputs: int = Field(default=1, ge=1, le=4)
    num_inference_steps: int = Field(default=4, ge=1, le=4)
    output_format: Literal["webp", "jpg", "png"] = "webp"
    megapixels: Literal["1", "0.25"] = "1"

    def picture(self, seed: int, source: Source | None) -> Picture:
        width, height = SIZES[self.aspect_ratio]
        shrunk = 2 if self.megapixels == "0.25" else 1
        image_format = _FORMATS.get(self.output_format, self.output_format)
        return Picture(width // shrunk, height // shrunk, image_format, seed, self.num_outputs)


class Pro(ReplicateRequest):
    """flux-1.1-pro."""

    image_field: ClassVar[str | None] = "image_prompt"

    aspect_ratio: Ratio | Literal["custom"] = "1:1"
    width: int | None = Field(default=None, ge=256, le=1440, multiple_of=32)
    height: int | None = Field(default=None, ge=256, le=1440, multiple_of=32)
    output_format: Literal["webp", "jpg", "png"] = "webp"
    safety_tolerance: int = Field(default=2, ge=1, le=6)
    prompt_upsampling: bool = False
    image_prompt: str | None = None

    def picture(self, seed: int, source: Source | None) -> Picture:
        if self.aspect_ratio == "custom":
            width, height = self.width or 1024, self.height or 1024
        else:
            width, height = SIZES[self.aspect_ratio]
        return Picture(width, height, _FORMATS.get(self.output_format, self.output_format), seed, 1)


class Kontext(ReplicateRequest):
    """flux-kontext-pro."""

    image_field: ClassVar[str | None] = "input_image"

    aspect_ratio: Ratio | Literal["match_input_image"] = "match_input_image"
    input_image: str | None = None
    output_format: Literal["jpg", "png"] = "png"
    safety_tolerance: int = Field(default=2, ge=0, le=6)
    prompt_upsampling: bool = False

    def picture(self, seed: int, source: Source | None) -> Picture:
        if self.aspect_ratio != "match_input_image":
            width, height = SIZES[self.aspect_ratio]
        else:
            wide, high = (1, 1) if source is None else (source.width, source.height)
            width, height = shaped(wide, high, 1024 * 1024)
        return Picture(width, height, _FORMATS.get(self.output_format, self.output_format), seed, 1)


@dataclass(frozen=True)
class Model:
    """One model. gives_list: whether `output` is a list of addresses, not one address.

    is_hidden: whether predictions hide their version, as those of some official models do.
    """

    name: str
    takes: type[ReplicateRequest]
    gives_list: bool
    is_hidden: bool

    @property
    def version(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def shown_version(self) -> str:
        return "hidden" if self.is_hidden else self.version

    def schema(self) -> dict[str, Any]:
        """Return the part of its OpenAPI document that clients read."""
        address = {"type": "string", "format": "uri"}
        output = {"type": "array", "items": address} if self.gives_list else address
        return {"components": {"schemas": {"Input": self.takes.model_json_schema(), "Output": output}}}


MODELS = {
    model.name: model
    for model in (
        Model("black-forest-labs/flux-schnell", Schnell, gives_list=True, is_hidden=False),
        Model("black-forest-labs/flux-1.1-pro", Pro, gives_list=False, is_hidden=True),
        Model("black-forest-labs/flux-kontext-pro", Kontext, gives_list=False, is_hidden=True),
    )
}


def model_of(version: str) -> Model | None:
    """Return the model of `owner/name`, `owner/name:version` or only a version."""
    name, _, identifier = version.rpartition(":")
    if name:
        model = MODELS.get(name)
        return model if model is not None and model.version == identifier else None
    return MODELS.get(version) or next((one for one in MODELS.values() if one.version == version), None)
