"""What a FLUX endpoint on fal takes as input, and how fal says that it cannot take it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from simulator.jobs import Picture

PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
DEFAULT_PRESET = "landscape_4_3"
# fal allows 14142 pixels a side; drawing that would take gigabytes here.
MAX_SIDE_PIXELS = 4096


class ImageSize(BaseModel):
    """A size in pixels."""

    width: int = Field(default=512, gt=0, le=MAX_SIDE_PIXELS)
    height: int = Field(default=512, gt=0, le=MAX_SIDE_PIXELS)


class Arguments(BaseModel):
    """The fields of text-to-image endpoints; others are let through, since each endpoint has its own."""

    model_config = ConfigDict(extra="ignore")

    prompt: str = Field(max_length=100_000)
    image_size: ImageSize = ImageSize(width=PRESETS[DEFAULT_PRESET][0], height=PRESETS[DEFAULT_PRESET][1])
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

    def picture(self, seed: int) -> Picture:
        size = self.image_size
        return Picture(size.width, size.height, self.output_format, seed, self.num_images)


def detail_of(error: ValidationError) -> list[dict[str, Any]]:
    """pydantic's errors as fal sends them: its endpoints are pydantic behind FastAPI."""
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
