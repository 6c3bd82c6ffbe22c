"""The generations of the demonstration, and their expected endings."""

from dataclasses import dataclass, field
from typing import Any

from devstack.demo.pictures import PictureName


@dataclass(frozen=True)
class Case:
    """One request and its expected ending.

    Attributes:
        kind: What the model does: `text_to_image`, `edit` or `reference`.
        fault: The simulator's fault, set by a marker in the prompt.
        finished_by: What brings the result: `webhook`, `poll`, or the submit's own `response`.
        pictures: The client's images, uploaded first.
        size, output_format: Of each image of the result; None if the provider decides.
    """

    name: str
    title: str
    provider: str
    model: str
    subject: str
    finished_by: str
    status: str = "completed"
    kind: str = "text_to_image"
    n: int = 1
    size: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    pictures: tuple[PictureName, ...] = ()
    output_format: str | None = "png"
    fault: str | None = None
    error_code: str | None = None

    @property
    def prompt(self) -> str:
        marker = f" [sim:{self.fault}]" if self.fault else ""
        return f"{self.subject}{marker}"

    def request(self, file_ids: list[str]) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "prompt": self.prompt, "n": self.n}
        if self.output_format is not None:
            body["output_format"] = self.output_format
        return body | self.fields | ({"inputs": file_ids} if file_ids else {})


_SMALL = {"size": "512x512"}
CASES = (
    Case(
        "webhook",
        "fal, finished by a signed webhook",
        "fal",
        "flux-schnell",
        "A lighthouse in the fog, linocut in two colors",
        "webhook",
        n=2,
        size="512x512",
        fields=_SMALL,
    ),
    Case(
        "polling",
        "fal, its webhook is lost: polling finishes it",
        "fal",
        "flux-schnell",
        "A tram in the rain at night, seen through a wet window",
        "poll",
        size="512x512",
        fields=_SMALL,
        fault="drop_webhook",
    ),
    Case(
        "rejected",
        "fal rejects it: the credits go back",
        "fal",
        "flux-schnell",
        "Something that the provider's rules forbid",
        "webhook",
        status="failed",
        fields=_SMALL,
        fault="moderation",
        error_code="content_rejected",
    ),
    Case(
        "replicate",
        "Replicate, in another shape",
        "replicate",
        "replicate-flux-1.1-pro",
        "A harbour at dawn, gouache",
        "webhook",
        fields={"aspect_ratio": "16:9"},
    ),
    Case(
        "bfl",
        "Black Forest Labs: polled at its regional host",
        "bfl",
        "flux-2-pro",
        "A glasshouse in winter, wide",
        "poll",
        size="1024x512",
        fields={"size": "1024x512"},
    ),
    Case(
        "edit",
        "an edit: OpenAI responds with the image itself",
        "openai",
        "gpt-image-2",
        "Make the sky green",
        "response",
        kind="edit",
        size="512x512",
        fields={"size": "512x512", "quality": "low"},
        pictures=("sketch",),
    ),
    Case(
        "reference",
        "two references: Gemini, its drafts left out",
        "gemini",
        "nano-banana-pro",
        "The sketch in the colors of the palette",
        "response",
        kind="reference",
        pictures=("sketch", "palette"),
        output_format=None,
    ),
)
KINDS = ("text_to_image", "edit", "reference")
