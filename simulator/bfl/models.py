"""What each model of Black Forest Labs takes, and what it costs."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_OUTPUT_PIXELS = 4 * 1024 * 1024
MAX_WEBHOOK_URL_CHARACTERS = 2_083
_MAX_RATIO = 21 / 9
_RATIO = re.compile(r"(\d{1,2}):(\d{1,2})")


class BflRequest(BaseModel):
    """The fields of every model; unknown fields are ignored, as by FastAPI."""

    model_config = ConfigDict(extra="ignore")

    prompt: str = Field(max_length=100_000)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    safety_tolerance: int = Field(default=2, ge=0, le=6)
    output_format: Literal["jpeg", "png"] = "jpeg"
    webhook_url: str | None = Field(default=None, min_length=1, max_length=MAX_WEBHOOK_URL_CHARACTERS)
    webhook_secret: str | None = Field(default=None, max_length=1_000)


class UpToFour(BflRequest):
    """Input images, by address or as base64."""

    input_image: str | None = None
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None


class Klein(UpToFour):
    """FLUX.2 klein, and the part of the other FLUX.2 that is the same."""

    width: int = Field(default=0, ge=0)
    height: int = Field(default=0, ge=0)
    safety_tolerance: int = Field(default=2, ge=0, le=5)
    output_format: Literal["jpeg", "png", "webp"] = "jpeg"  # type: ignore[assignment]

    @field_validator("width", "height")
    @classmethod
    def _side(cls, value: int) -> int:
        if value and (value < 64 or value % 16):
            raise ValueError("must be 0, or at least 64 and a multiple of 16")
        return value

    @model_validator(mode="after")
    def _area(self) -> "Klein":
        if self.width * self.height > MAX_OUTPUT_PIXELS:
            raise ValueError("width and height may have 4 megapixels")
        return self


class Flux2(Klein):
    """FLUX.2 pro and max."""

    input_image_5: str | None = None
    input_image_6: str | None = None
    input_image_7: str | None = None
    input_image_8: str | None = None


class Flex(Flux2):
    """FLUX.2 flex."""

    prompt_upsampling: bool = True
    guidance: float = Field(default=5, ge=1.5, le=10)
    steps: int = Field(default=50, ge=1, le=50)


class WithRatio(BflRequest):
    """For models that take an aspect ratio, not a size."""

    aspect_ratio: str | None = None
    prompt_upsampling: bool = False

    @field_validator("aspect_ratio")
    @classmethod
    def _shape(cls, value: str | None) -> str | None:
        if value is None:
            return None
        match = _RATIO.fullmatch(value)
        ratio = int(match[1]) / int(match[2]) if match and int(match[2]) else 0
        if not 1 / _MAX_RATIO <= ratio <= _MAX_RATIO:
            raise ValueError("must be between 21:9 and 9:21")
        return value


class Kontext(UpToFour, WithRatio):
    """FLUX.1 Kontext."""

    output_format: Literal["jpeg", "png"] = "png"


class Ultra(WithRatio):
    """FLUX1.1 pro ultra."""

    aspect_ratio: str | None = "16:9"
    raw: bool = False
    image_prompt: str | None = None
    image_prompt_strength: float = Field(default=0.1, ge=0, le=1)


class Sized(BflRequest):
    """FLUX1.1 pro and FLUX.1 dev."""

    image_prompt: str | None = None
    width: int = Field(default=1024, ge=256, le=1440, multiple_of=32)
    height: int = Field(default=768, ge=256, le=1440, multiple_of=32)
    prompt_upsampling: bool = False


class Fill(BflRequest):
    """FLUX.1 fill: the white part of the mask is repainted."""

    prompt: str = Field(default="", max_length=100_000)
    image: str
    mask: str | None = None
    steps: int = Field(default=50, ge=15, le=50)
    guidance: float = Field(default=60, ge=1.5, le=100)
    prompt_upsampling: bool = False


class Expand(BflRequest):
    """FLUX.1 expand: adds pixels on each side."""

    prompt: str = Field(default="", max_length=100_000)
    image: str
    top: int = Field(default=0, ge=0, le=2048)
    bottom: int = Field(default=0, ge=0, le=2048)
    left: int = Field(default=0, ge=0, le=2048)
    right: int = Field(default=0, ge=0, le=2048)


@dataclass(frozen=True)
class Model:
    """Prices in credits of 0.01 USD: for an image, and for each megapixel over the first, in and out."""

    takes: type[BflRequest]
    credits: float
    credits_more: float = 0.0

    def cost(self, input_megapixels: float, output_megapixels: float) -> float:
        more = input_megapixels + max(0.0, output_megapixels - 1.05)
        return round(self.credits + self.credits_more * more, 2)


MODELS = {
    "flux-2-max": Model(Flux2, 7, 3),
    "flux-2-pro": Model(Flux2, 3, 1.5),
    "flux-2-pro-preview": Model(Flux2, 3, 1.5),
    "flux-2-flex": Model(Flex, 6, 6),
    "flux-2-klein-4b": Model(Klein, 1.4, 0.1),
    "flux-2-klein-9b": Model(Klein, 1.5, 0.2),
    "flux-2-klein-9b-preview": Model(Klein, 1.5, 0.2),
    "flux-kontext-pro": Model(Kontext, 4),
    "flux-kontext-max": Model(Kontext, 8),
    "flux-pro-1.1": Model(Sized, 4),
    "flux-pro-1.1-ultra": Model(Ultra, 6),
    "flux-dev": Model(Sized, 2.5),
    "flux-pro-1.0-fill": Model(Fill, 5),
    "flux-pro-1.0-expand": Model(Expand, 5),
}
