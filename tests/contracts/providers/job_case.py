"""What the contract suite needs to know about a provider with jobs.

A fault is written as the simulator reads it in a prompt. `None` means that the provider has no such thing;
the suite then skips the test for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.providers.settings import JobProviderSettings
from adapters.providers.spec import JobProviderSpec, JobTools
from adapters.transport.http import HttpClient
from domain.errors import PermanentError, ServiceError
from domain.generation import GenerationRequest
from domain.keyring import Keyring
from domain.moderation import ModeratedAt
from domain.ports import Provider, WebhookReader
from domain.provider import AttemptRef, LocalInputFile, Submission
from tests.contracts.providers.simulated import SimulatedProvider
from tests.simulator.process import KEY
from tests.support.local_inspector import invert_alpha_here

USER_ID = "user-1"
KEYRING = Keyring.of("a master key that only this suite uses")
TOOLS = JobTools(KEYRING, invert_alpha_here)
ATTEMPT = AttemptRef("gen_contract", 1)


@dataclass(frozen=True)
class JobCase:
    """One provider, as the suite sees it.

    Attributes:
        settings: Those that lead to its simulator, given the simulator and the key.
        endpoint: One of the provider's models; with `parameters` it makes a small image.
        cost_unit: What its costs are counted in.
        unavailable: What a 503 on a submit is: not accepted, or unknown.
        rejected: What a submit that the provider rejects is.
        moderation: Faults of a job that its moderation ends.
        forged: Faults that produce a webhook which must be rejected.
        webhook_settings: Returns settings that are known only from the simulator.
        makes_several: Whether one job may make several images.
        can_cancel: Whether a job can be canceled.
        webhooks_are_final: Whether an authentic webhook reports the result, or is only a reason to poll.
        renews_addresses: Whether polling again gives a new address for an old result.
        free_failure: Whether a job that failed at the provider is not charged.
        partial: A fault that leaves out one of several images.
        editor: A model that takes input images, if its simulator shows them.
        max_inputs: How many it takes.
    """

    spec: JobProviderSpec[Any]
    settings: Callable[[SimulatedProvider, str], JobProviderSettings]
    endpoint: str
    parameters: Mapping[str, Any]
    cost_unit: str
    unavailable: type[ServiceError]
    rejected: type[PermanentError]
    moderation: Mapping[str, ModeratedAt]
    forged: tuple[str, ...]
    webhook_settings: Callable[[HttpClient, SimulatedProvider], Awaitable[Mapping[str, Any]]] | None = None
    makes_several: bool = True
    can_cancel: bool = True
    webhooks_are_final: bool = True
    renews_addresses: bool = True
    free_failure: bool = False
    partial: str | None = None
    editor: str | None = None
    max_inputs: int = 0

    @property
    def name(self) -> str:
        return self.spec.name

    def make(self, http: HttpClient, simulator: SimulatedProvider, key: str) -> Provider:
        """Build the adapter as composition does."""
        return self.spec.make_adapter(self.settings(simulator, key), http, TOOLS)

    async def make_reader(self, http: HttpClient, simulator: SimulatedProvider) -> WebhookReader:
        """Build the reader of its webhooks as composition does."""
        settings = self.settings(simulator, KEY)
        if self.webhook_settings is not None:
            settings = settings.model_copy(update=dict(await self.webhook_settings(http, simulator)))
        reader = self.spec.webhook_reader(settings, http, KEYRING)
        assert reader is not None
        return reader

    def submission(
        self, prompt: str, n: int = 1, webhook_url: str = "", images: tuple[LocalInputFile, ...] = ()
    ) -> Submission:
        endpoint = self.editor if images and self.editor else self.endpoint
        parameters = {"output_format": "png"} if images else self.parameters
        request = GenerationRequest(
            model=endpoint,
            provider=self.name,
            endpoint=endpoint,
            prompt=prompt,
            parameters={**parameters, "n": n},
            n=n,
            price_credits=n,
        )
        return Submission(ATTEMPT, request, webhook_url, images)
