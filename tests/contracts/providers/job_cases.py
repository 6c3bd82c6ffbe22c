"""Each provider with jobs: how it is reached, and how its simulator is told to go wrong.

A fault is written as the simulator reads it in a prompt. `None` stands where the provider has no such
thing; the suite then leaves the question out for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from adapters.providers.bfl.adapter import BflProvider, BflWebhookReader
from adapters.providers.fal.adapter import FalProvider
from adapters.providers.fal.webhooks import FalKeys, FalWebhookReader
from adapters.providers.replicate.adapter import ReplicateProvider
from adapters.providers.replicate.webhooks import ReplicateWebhookReader
from domain.errors import (
    ContentRejected,
    InvalidInput,
    PermanentError,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.generation import GenerationRequest
from domain.moderation import ModeratedAt
from domain.ports import Provider, WebhookReader
from domain.provider import AttemptRef, LocalInputFile, Submission
from tests.contracts.providers.simulated import SimulatedProvider
from tests.simulator.process import KEY

USER_ID = "user-1"
MASTER_KEY = "a master key of the suite's"
ATTEMPT = AttemptRef("gen_contract", 1)


@dataclass(frozen=True)
class JobCase:
    """One provider, as the suite sees it.

    Attributes:
        endpoint: A model of the provider's; with `parameters` it makes a small image.
        make: The adapter, given its client, its simulator and the key.
        reader: What reads its webhooks.
        cost_unit: What its costs are counted in.
        makes_several: Whether one job may make several images.
        can_cancel: Whether a job can be called off.
        is_believed: Whether an authentic webhook's word counts, or only sends us to ask.
        renews_addresses: Whether asking again gives a new address for an old result.
        unavailable: What a 503 on a submit is: not taken, or not known.
        rejected: What a submit that the provider turns down is.
        moderation: Faults of a job that its moderation ends.
        free_failure: Whether a job that failed for no reason of ours is free.
        forged: Faults by which a webhook is not to be read.
        partial: A fault by which one of several images does not come.
        editor: A model that takes the client's images, as far as its simulator shows them.
        most_inputs: How many it takes.
    """

    name: str
    endpoint: str
    parameters: Mapping[str, Any]
    make: Callable[[httpx.AsyncClient, SimulatedProvider, str], Provider]
    reader: Callable[[httpx.AsyncClient, SimulatedProvider], Awaitable[WebhookReader]]
    cost_unit: str
    unavailable: type[ServiceError]
    rejected: type[PermanentError]
    moderation: Mapping[str, ModeratedAt]
    forged: tuple[str, ...]
    makes_several: bool = True
    can_cancel: bool = True
    is_believed: bool = True
    renews_addresses: bool = True
    free_failure: bool = False
    partial: str | None = None
    editor: str | None = None
    most_inputs: int = 0

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


def _fal(http: httpx.AsyncClient, simulator: SimulatedProvider, key: str) -> Provider:
    return FalProvider(http, key=key, queue_url=simulator.url, result_hosts=(simulator.url,))


async def _fal_reader(http: httpx.AsyncClient, simulator: SimulatedProvider) -> WebhookReader:
    return FalWebhookReader(FalKeys(http, f"{simulator.url}/.well-known/jwks.json"), user_id=USER_ID)


def _replicate(http: httpx.AsyncClient, simulator: SimulatedProvider, key: str) -> Provider:
    return ReplicateProvider(http, token=key, url=f"{simulator.url}/v1", result_hosts=(simulator.url,))


async def _replicate_reader(http: httpx.AsyncClient, simulator: SimulatedProvider) -> WebhookReader:
    """With the account's secret, and an older one that no longer signs."""
    response = await http.get(
        f"{simulator.url}/v1/webhooks/default/secret", headers={"Authorization": f"Bearer {KEY}"}
    )
    return ReplicateWebhookReader(["whsec_b2xkIHNlY3JldA==", response.json()["key"]])


def _bfl(http: httpx.AsyncClient, simulator: SimulatedProvider, key: str) -> Provider:
    return BflProvider(
        http,
        key=key,
        url=simulator.url,
        polling_hosts=(simulator.polling_url,),
        result_hosts=(simulator.url, simulator.polling_url),
        master_key=MASTER_KEY,
    )


async def _bfl_reader(_http: httpx.AsyncClient, _simulator: SimulatedProvider) -> WebhookReader:
    return BflWebhookReader(MASTER_KEY)


FAL = JobCase(
    name="fal",
    endpoint="fal-ai/flux/schnell",
    parameters={"size": "64x48", "output_format": "png"},
    make=_fal,
    reader=_fal_reader,
    cost_unit="billable_unit",
    unavailable=ProviderUnavailable,
    rejected=ContentRejected,
    moderation={"moderation": ModeratedAt.INPUT, "nsfw": ModeratedAt.OUTPUT},
    forged=("forged_webhook", "stale_webhook", "wrong_account"),
    free_failure=True,
)
REPLICATE = JobCase(
    name="replicate",
    endpoint="black-forest-labs/flux-schnell",
    parameters={"aspect_ratio": "1:1", "output_format": "png", "options": {"megapixels": "0.25"}},
    make=_replicate,
    reader=_replicate_reader,
    cost_unit="predict_second",
    unavailable=SubmitAmbiguous,
    rejected=InvalidInput,
    moderation={
        "moderation": ModeratedAt.INPUT,
        "moderation=E005": ModeratedAt.INPUT,
        "moderation=nsfw": ModeratedAt.OUTPUT,
    },
    forged=("forged_webhook", "stale_webhook"),
    partial="partial_result",
    editor="black-forest-labs/flux-kontext-pro",
    most_inputs=1,
)
BFL = JobCase(
    name="bfl",
    endpoint="flux-2-pro",
    parameters={"size": "64x64", "output_format": "png"},
    make=_bfl,
    reader=_bfl_reader,
    cost_unit="bfl_credit",
    unavailable=SubmitAmbiguous,
    rejected=InvalidInput,
    moderation={
        "moderation=input": ModeratedAt.INPUT,
        "moderation=output": ModeratedAt.OUTPUT,
    },
    forged=("forged_webhook",),
    makes_several=False,
    can_cancel=False,
    is_believed=False,
    editor="flux-2-pro",
    most_inputs=2,
)
JOB_CASES = (FAL, REPLICATE, BFL)
