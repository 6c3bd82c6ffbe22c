"""What a model accepts: a JSON Schema for each parameter, and limits for input images."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.input_files import InputFile

_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")

# Pairs of a field and the limit that it broke; never a client's own value.
FieldErrors = list[tuple[str, str]]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model.

    Attributes:
        schema: Its JSON Schema, as clients see it.
        violations: Returns what of a value breaks the schema: the part, such as `guidance`, or "" for the
            whole value, and a text for the limit. The value itself is never repeated.
    """

    schema: Mapping[str, Any]
    violations: Callable[[Any], Sequence[tuple[str, str]]]

    @property
    def default(self) -> Any:
        """Return what is sent if the client gives nothing; None leaves it to the provider."""
        return self.schema.get("default")


@dataclass(frozen=True)
class InputLimits:
    """Which input images a model accepts.

    Attributes:
        min_images: 0 where the model also makes images from a prompt alone.
        max_total_bytes: Of all images together.
        min_edge_pixels: Of the shorter side.
        mask: `no`, `optional` or `required`.
    """

    min_images: int
    max_images: int
    max_bytes: int
    max_total_bytes: int
    max_pixels: int
    min_edge_pixels: int
    content_types: tuple[str, ...]
    mask: str
    max_mask_bytes: int

    def count_errors(self, inputs: int, *, mask: bool) -> FieldErrors:
        """Check what can be checked while only the number of images is known."""
        errors = []
        if not self.min_images <= inputs <= self.max_images:
            least = f"{self.min_images} to " if self.min_images < self.max_images else ""
            noun = "image" if self.max_images == 1 else "images"
            errors.append(("inputs", f"this model takes {least}{self.max_images} {noun}"))
        if mask and self.mask == "no":
            errors.append(("mask", "not taken by this model"))
        if mask and inputs == 0:
            errors.append(("mask", "needs the image that it masks in inputs"))
        if not mask and self.mask == "required":
            errors.append(("mask", "needed by this model"))
        return errors

    def file_errors(self, files: Sequence[InputFile], mask: InputFile | None) -> FieldErrors:
        """Check the images themselves."""
        found = [(f"inputs.{index}", self._violation(file)) for index, file in enumerate(files)]
        errors = [(name, limit) for name, limit in found if limit is not None]
        if sum(file.facts.size_bytes for file in files) > self.max_total_bytes:
            errors.append(("inputs", f"at most {self.max_total_bytes} bytes together"))
        if mask is not None:
            errors += [("mask", limit) for limit in self._mask_violations(mask, files)]
        return errors

    def _violation(self, file: InputFile) -> str | None:
        facts = file.facts
        if facts.content_type not in self.content_types:
            return f"one of {', '.join(self.content_types)}"
        if facts.size_bytes > self.max_bytes:
            return f"at most {self.max_bytes} bytes"
        if facts.width * facts.height > self.max_pixels:
            return f"at most {self.max_pixels} pixels"
        if min(facts.width, facts.height) < self.min_edge_pixels:
            return f"at least {self.min_edge_pixels} pixels on each side"
        return None

    def _mask_violations(self, mask: InputFile, files: Sequence[InputFile]) -> list[str]:
        limits = []
        if mask.facts.content_type != "image/png" or not mask.facts.has_alpha:
            limits.append("image/png with an alpha channel")
        if mask.facts.size_bytes > self.max_mask_bytes:
            limits.append(f"at most {self.max_mask_bytes} bytes")
        first = files[0].facts
        if (mask.facts.width, mask.facts.height) != (first.width, first.height):
            limits.append("as wide and as high as the first of inputs")
        return limits


def pixels(size: str) -> tuple[int, int]:
    """Return width and height of `WIDTHxHEIGHT`. Raises ValueError."""
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(f"{size!r} is not WIDTHxHEIGHT")
    return int(match[1]), int(match[2])
