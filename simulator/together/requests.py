"""The body of the image endpoint. Other fields are ignored, as each model has its own."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.together.errors import rejection

MAX_SIDE_PIXELS = 2048
_FLUX = "black-forest-labs/FLUX"
# How many input images each model takes; the numbers for FLUX.2 are not confirmed.
MAX_INPUTS = {
    f"{_FLUX}.1-schnell": 0,
    f"{_FLUX}.1-schnell-Free": 0,
    f"{_FLUX}.1-dev": 0,
    f"{_FLUX}.1.1-pro": 0,
    f"{_FLUX}.1-kontext-pro": 1,
    f"{_FLUX}.1-kontext-max": 1,
    f"{_FLUX}.2-dev": 8,
    f"{_FLUX}.2-flex": 8,
    f"{_FLUX}.2-pro": 8,
    f"{_FLUX}.2-max": 8,
}


class TogetherRequest(BaseModel):
    """A request. image_url, reference_images: addresses or data URLs."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str
    prompt: str = Field(min_length=1, max_length=32_000)
    steps: int = Field(default=4, ge=1, le=50)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    n: int = Field(default=1, ge=1, le=4)
    width: int = Field(default=1024, ge=64, le=MAX_SIDE_PIXELS, multiple_of=8)
    height: int = Field(default=1024, ge=64, le=MAX_SIDE_PIXELS, multiple_of=8)
    aspect_ratio: str | None = Field(default=None, pattern=r"^[1-9]\d?:[1-9]\d?$")
    negative_prompt: str | None = None
    guidance_scale: float = Field(default=3.5, ge=0, le=30)
    response_format: Literal["base64", "url"] = "url"
    output_format: Literal["jpeg", "png"] = "jpeg"
    image_url: str | None = None
    reference_images: list[str] = Field(default=[], max_length=16)
    disable_safety_checker: bool = False

    def size(self) -> tuple[int, int]:
        """Return the size in pixels; an aspect ratio has about a megapixel."""
        if self.aspect_ratio is None:
            return (self.width, self.height)
        wide, high = (int(part) for part in self.aspect_ratio.split(":"))
        sides = (1024 * math.sqrt(wide / high), 1024 * math.sqrt(high / wide))
        width, height = (max(64, min(MAX_SIDE_PIXELS, round(side / 16) * 16)) for side in sides)
        return (width, height)

    def inputs(self) -> list[str]:
        return [*([self.image_url] if self.image_url else []), *self.reference_images]


def parse(fields: object) -> TogetherRequest:
    """Raises Rejected."""
    try:
        arguments = TogetherRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"]) or None
        raise rejection(400, f"Invalid {param or 'body'}: {first['msg']}", param=param) from error
    most = MAX_INPUTS.get(arguments.model)
    if most is None:
        message = f"Unable to access model {arguments.model}."
        raise rejection(404, message, param="model", code="model_not_available")
    if len(arguments.inputs()) > most:
        raise rejection(400, f"The model takes at most {most} input images.", param="reference_images")
    return arguments
