"""What one request contains, and how a provider rejects it."""

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from simulator.core.faults.kinds import Phase
from simulator.core.images.sources import Source, masked
from simulator.core.jobs import Picture


@dataclass(frozen=True)
class JobSpec:
    """A valid request.

    endpoint: the model. arguments: the request in the provider's wire format, without image bytes.
    kept_inputs: the sources as PNG, if results are files that are drawn when fetched.
    phases: the faults that change this work.
    """

    endpoint: str
    prompt: str
    picture: Picture
    arguments: dict[str, Any]
    sources: tuple[Source, ...] = ()
    mask: Source | None = None
    transparent: bool = False
    quality: int | None = None
    kept_inputs: tuple[bytes, ...] = ()
    phases: tuple[Phase, ...] = (Phase.JOB, Phase.ANSWER)

    def pasted(self) -> list[Image.Image]:
        """Return the inputs as they appear in the result."""
        pictures = [source.picture for source in self.sources]
        if self.mask is not None:
            pictures[0] = masked(self.sources[0], self.mask)
        return pictures


@dataclass
class RawRequest:
    """A request before validation.

    files: image bytes by field name. is_form: all fields are texts.
    """

    fields: dict[str, Any]
    is_form: bool = False
    files: dict[str, list[bytes]] = field(default_factory=dict)
