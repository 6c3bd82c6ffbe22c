"""What the contract suite needs to know about a provider whose response carries the images.

A fault is written as the simulator reads it in a prompt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.providers.http.inline_images import InlineImageClient
from adapters.providers.settings import ProviderSettings
from adapters.providers.spec import SynchronousProviderSpec
from domain.errors import ServiceError
from domain.moderation import ModeratedAt
from domain.ports import SynchronousProvider


@dataclass(frozen=True)
class SynchronousCase:
    """One provider, as the suite sees it.

    Attributes:
        settings: Those that lead to its simulator, given the simulator's address and the key.
        endpoint: One of the provider's models; with `parameters` it makes a small image.
        editor: A model that takes input images, and with no other parameters.
        unavailable: What a 503 is: not accepted, or unknown.
        moderation: Faults that refuse content, and whether it was the request or the image.
        failures: Faults of a call that ends without an image, each charged.
        refusals: Faults that reject the request for another reason.
        cost_unit: What its costs are counted in, if it states them.
        makes_several: Whether one call may make several images.
        max_inputs: How many images the editor takes, as far as the suite tries.
        has_masks: Whether it takes a mask.
        drafts: A fault that puts drafts before the image.
    """

    spec: SynchronousProviderSpec[Any]
    settings: Callable[[str, str], ProviderSettings]
    endpoint: str
    editor: str
    unavailable: type[ServiceError]
    moderation: Mapping[str, ModeratedAt]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ("empty_result",)
    refusals: tuple[str, ...] = ("invalid_key",)
    cost_unit: str | None = None
    makes_several: bool = True
    max_inputs: int = 4
    has_masks: bool = False
    drafts: str | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    def make(self, client: InlineImageClient, url: str, key: str) -> SynchronousProvider:
        """Build the adapter as composition does."""
        return self.spec.make_adapter(self.settings(url, key), client)
