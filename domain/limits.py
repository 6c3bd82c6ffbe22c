"""What one model takes: a schema for each parameter, limits for images. Plain data and how it is checked."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.files import StoredFile

_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")

# Fields and the limit that each broke; never a client's own value.
Errors = list[tuple[str, str]]


@dataclass(frozen=True)
class Parameter:
    """One thing that a model can be told.

    Attributes:
        schema: Its JSON Schema, as clients are shown it.
        check: What of a value breaks it: the part, such as `guidance`, or "" for the whole value, and the
            limit in words. The value itself is never repeated.
    """

    schema: Mapping[str, Any]
    check: Callable[[Any], Sequence[tuple[str, str]]]

    @property
    def default(self) -> Any:
        """What is sent where a client says nothing; None leaves it to the provider."""
        return self.schema.get("default")


@dataclass(frozen=True)
class InputLimits:
    """What images a model takes.

    Attributes:
        least: 0 where the model also makes images from a prompt alone.
        largest_total_bytes: Of all images together.
        smallest_edge: In pixels, of the shorter side.
        mask: `no`, `optional` or `required`.
    """

    least: int
    most: int
    largest_bytes: int
    largest_total_bytes: int
    largest_pixels: int
    smallest_edge: int
    content_types: tuple[str, ...]
    mask: str
    largest_mask_bytes: int

    def wrong_count(self, inputs: int, *, mask: bool) -> Errors:
        """What is wrong before anything is known of the images but how many there are."""
        errors = []
        if not self.least <= inputs <= self.most:
            counts = f"{self.least} to {self.most}" if self.least < self.most else f"{self.most}"
            errors.append(("inputs", f"number of images: {counts}"))
        if mask and self.mask == "no":
            errors.append(("mask", "not taken by this model"))
        if mask and inputs == 0:
            errors.append(("mask", "needs the image that it masks in inputs"))
        if not mask and self.mask == "required":
            errors.append(("mask", "needed by this model"))
        return errors

    def wrong_files(self, files: Sequence[StoredFile], mask: StoredFile | None) -> Errors:
        """What is wrong with the images themselves."""
        found = [(f"inputs.{index}", self._broken_by(file)) for index, file in enumerate(files)]
        errors = [(name, limit) for name, limit in found if limit is not None]
        if sum(file.facts.size_bytes for file in files) > self.largest_total_bytes:
            errors.append(("inputs", f"at most {self.largest_total_bytes} bytes together"))
        if mask is not None:
            errors += [("mask", limit) for limit in self._broken_by_mask(mask, files)]
        return errors

    def _broken_by(self, file: StoredFile) -> str | None:
        facts = file.facts
        if facts.content_type not in self.content_types:
            return f"one of {', '.join(self.content_types)}"
        if facts.size_bytes > self.largest_bytes:
            return f"at most {self.largest_bytes} bytes"
        if facts.width * facts.height > self.largest_pixels:
            return f"at most {self.largest_pixels} pixels"
        if min(facts.width, facts.height) < self.smallest_edge:
            return f"at least {self.smallest_edge} pixels on each side"
        return None

    def _broken_by_mask(self, mask: StoredFile, files: Sequence[StoredFile]) -> list[str]:
        limits = []
        if mask.facts.content_type != "image/png" or not mask.facts.has_alpha:
            limits.append("image/png with an alpha channel")
        if mask.facts.size_bytes > self.largest_mask_bytes:
            limits.append(f"at most {self.largest_mask_bytes} bytes")
        first = files[0].facts
        if (mask.facts.width, mask.facts.height) != (first.width, first.height):
            limits.append("as wide and as high as the first of inputs")
        return limits


def pixels(size: str) -> tuple[int, int]:
    """Width and height of `WIDTHxHEIGHT`. Raises ValueError."""
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(f"{size!r} is not WIDTHxHEIGHT")
    return int(match[1]), int(match[2])
