"""The input of a FLUX endpoint at fal, and fal's validation errors."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from simulator.core.images.sizes import MAX_SIDE_PIXELS, shaped
from simulator.core.images.sources import Source
from simulator.core.jobs import Picture

PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
DEFAULT_PRESET = "landscape_4_3"
MAX_IMAGES = 16


class ImageSize(BaseModel):
    """A size in pixels. fal allows 14142 a side; drawing that would take gigabytes here."""

    width: int = Field(default=512, gt=0, le=MAX_SIDE_PIXELS)
    height: int = Field(default=512, gt=0, le=MAX_SIDE_PIXELS)


class FalRequest(BaseModel):
    """The fields that endpoints share; others are ignored, as each endpoint has its own.

    image_url, image_urls: at endpoints for editing. aspect_ratio, resolution: instead of a size at some.
    """

    model_config = ConfigDict(extra="ignore")

    prompt: str = Field(max_length=100_000)
    image_size: ImageSize = ImageSize(width=PRESETS[DEFAULT_PRESET][0], height=PRESETS[DEFAULT_PRESET][1])
    image_url: str | None = None
    image_urls: list[str] = Field(default=[], max_length=MAX_IMAGES)
    aspect_ratio: str | None = Field(default=None, pattern=r"^(auto|[1-9]\d?:[1-9]\d?)$")
    resolution: Literal["0.5K", "1K", "2K", "4K"] = "1K"
    num_images: int = Field(default=1, ge=1, le=4)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    output_format: Literal["jpeg", "png", "webp"] = "jpeg"
    enable_safety_checker: bool = True
    sync_mode: bool = False
    num_inference_steps: int = Field(default=4, ge=1, le=100)
    guidance_scale: float = Field(default=3.5, ge=0, le=30)

    @field_validator("image_size", mode="before")
    @classmethod
    def _size(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value not in PRESETS:
            raise ValueError(f"image_size must be one of {', '.join(PRESETS)}, or a width and a height")
        return {"width": PRESETS[value][0], "height": PRESETS[value][1]}

    def addresses(self) -> list[tuple[list[str | int], str]]:
        """Return each input image's address, with its path in the body."""
        first: list[tuple[list[str | int], str]] = []
        if self.image_url is not None:
            first = [(["body", "image_url"], self.image_url)]
        return first + [(["body", "image_urls", index], url) for index, url in enumerate(self.image_urls)]

    def picture(self, seed: int, source: Source | None) -> Picture:
        """Return the image to draw. source: the first input image, whose ratio is the default."""
        width, height = self.image_size.width, self.image_size.height
        pixels = round((1024 * float(self.resolution.removesuffix("K"))) ** 2)
        if self.aspect_ratio not in (None, "auto"):
            wide, high = (int(part) for part in str(self.aspect_ratio).split(":"))
            width, height = shaped(wide, high, pixels)
        elif source is not None and "image_size" not in self.model_fields_set:
            width, height = shaped(source.width, source.height, pixels)
        return Picture(width, height, self.output_format, seed, self.num_images)


def detail_of(error: ValidationError) -> list[dict[str, Any]]:
    """Return pydantic's errors as fal sends them, whose endpoints use FastAPI."""
    return [
        {
            "loc": ["body", *item["loc"]],
            "msg": item["msg"],
            "type": item["type"],
            "url": item.get("url", ""),
            "ctx": {key: str(value) for key, value in item.get("ctx", {}).items()},
            "input": item["input"],
        }
        for item in error.errors()
    ]
