"""Each provider that answers with its images: how it is reached, and how its simulator is told to go wrong.

A fault is written as the simulator reads it in a prompt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.providers.gemini.adapter import GeminiProvider
from adapters.providers.http.inline_images import InlineImageClient
from adapters.providers.openai.adapter import OpenAiProvider
from adapters.providers.together.adapter import TogetherProvider
from domain.errors import ProviderUnavailable, ServiceError, SubmitAmbiguous
from domain.moderation import ModeratedAt
from domain.ports import SynchronousProvider

Make = Callable[[InlineImageClient, str, str], SynchronousProvider]


@dataclass(frozen=True)
class SynchronousCase:
    """One provider, as the suite sees it.

    Attributes:
        endpoint: A model of the provider's; with `parameters` it makes a small image.
        editor: A model that takes input images, and with no other parameters.
        make: The adapter, given what it speaks through, the simulator's address and the key.
        cost_unit: What its costs are counted in, if it tells them.
        makes_several: Whether one call may make several images.
        most_inputs: How many images the editor takes, as far as the suite tries.
        has_masks: Whether it takes a mask.
        drafts: A fault by which drafts come before the image.
        unavailable: What a 503 is: not taken, or not known.
        moderation: Faults by which content is refused, and whose it was.
        refusals: Faults by which the request is turned down for another reason.
        failures: Faults of a call that ends without an image, each charged.
    """

    name: str
    endpoint: str
    editor: str
    make: Make
    unavailable: type[ServiceError]
    moderation: Mapping[str, ModeratedAt]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ("empty_result",)
    refusals: tuple[str, ...] = ("invalid_key",)
    cost_unit: str | None = None
    makes_several: bool = True
    most_inputs: int = 4
    has_masks: bool = False
    drafts: str | None = None


def _openai(client: InlineImageClient, url: str, key: str) -> SynchronousProvider:
    return OpenAiProvider(client, key=key, url=f"{url}/v1")


def _gemini(client: InlineImageClient, url: str, key: str) -> SynchronousProvider:
    return GeminiProvider(client, key=key, url=f"{url}/v1beta")


def _together(client: InlineImageClient, url: str, key: str) -> SynchronousProvider:
    return TogetherProvider(client, key=key, url=f"{url}/v1")


SYNCHRONOUS_CASES = (
    SynchronousCase(
        name="openai",
        endpoint="gpt-image-2",
        editor="gpt-image-1.5",
        make=_openai,
        parameters={"size": "1024x1024", "quality": "low", "output_format": "jpeg"},
        unavailable=ProviderUnavailable,
        moderation={"reject": ModeratedAt.INPUT, "moderation": ModeratedAt.OUTPUT},
        refusals=("invalid_key", "insufficient_quota"),
        cost_unit="token",
        has_masks=True,
    ),
    SynchronousCase(
        name="gemini",
        endpoint="gemini-3.1-flash-image",
        editor="gemini-3-pro-image",
        make=_gemini,
        parameters={"aspect_ratio": "1:1", "resolution": "512"},
        unavailable=ProviderUnavailable,
        moderation={
            "reject": ModeratedAt.INPUT,
            "reject=SAFETY": ModeratedAt.INPUT,
            "moderation": ModeratedAt.OUTPUT,
            "moderation=RECITATION": ModeratedAt.OUTPUT,
        },
        failures=("empty_result", "text_only", "finish_reason=NO_IMAGE", "finish_reason=OTHER"),
        cost_unit="token",
        makes_several=False,
        drafts="thoughts=3",
    ),
    SynchronousCase(
        name="together",
        endpoint="black-forest-labs/FLUX.1-schnell",
        editor="black-forest-labs/FLUX.1-kontext-pro",
        make=_together,
        parameters={"size": "512x512", "output_format": "jpeg"},
        most_inputs=1,
        unavailable=SubmitAmbiguous,
        moderation={"reject": ModeratedAt.INPUT, "moderation": ModeratedAt.OUTPUT},
        refusals=("invalid_key", "insufficient_quota"),
    ),
)
