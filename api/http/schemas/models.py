"""Models of the catalog."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from domain.charging import ChargePolicy


class InputLimitsView(BaseModel):
    """Which input images a model accepts. `min_images` is 0 if it also makes images from a prompt alone."""

    min_images: int
    max_images: int
    max_bytes: int
    max_total_bytes: int
    max_pixels: int
    min_edge_pixels: int
    content_types: list[str]
    mask: Literal["no", "optional", "required"]
    max_mask_bytes: int


class PriceView(BaseModel):
    """Credits for one image: (`per_image` + the step of `by`), once for each megapixel if `per_megapixel`.

    `per_partial_image` comes on top for each partial image that is asked for.
    """

    per_image: int
    by: str | None
    steps: dict[str, int]
    per_megapixel: bool
    default_megapixels: int
    per_partial_image: int


class ModelView(BaseModel):
    """What a model accepts and costs. `parameters` holds a JSON Schema for each.

    `object`, `created` and `owned_by` are OpenAI's; when a model was made is not known, and `created` is 0.
    """

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str
    title: str
    kind: str
    kinds: list[str]
    provider: str
    available: bool
    parameters: dict[str, Mapping[str, Any]]
    inputs: InputLimitsView | None
    price: PriceView
    typical_seconds: float
    max_seconds: float
    webhook: bool
    fallback: str | None
    cancel_after_submit: ChargePolicy
    moderation: ChargePolicy


class ModelList(BaseModel):
    """Every model, also those that are switched off here."""

    object: Literal["list"] = "list"
    data: list[ModelView]
