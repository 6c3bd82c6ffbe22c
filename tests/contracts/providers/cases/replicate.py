"""Replicate at its simulator."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from adapters.providers.replicate.settings import ReplicateSettings
from adapters.providers.replicate.spec import SPEC
from adapters.transport.http import HttpClient, Request
from domain.errors import InvalidInput, SubmitAmbiguous
from domain.moderation import ModeratedAt
from tests.contracts.providers.job_case import JobCase
from tests.contracts.providers.simulated import SimulatedProvider
from tests.simulator.process import KEY


def _settings(simulator: SimulatedProvider, key: str) -> ReplicateSettings:
    return ReplicateSettings(
        api_token=SecretStr(key), url=f"{simulator.url}/v1", result_hosts=(simulator.url,)
    )


async def _webhook_settings(http: HttpClient, simulator: SimulatedProvider) -> Mapping[str, Any]:
    """Return the account's secret, and an older one that is no longer used."""
    url = f"{simulator.url}/v1/webhooks/default/secret"
    response = await http.send(Request("GET", url, {"Authorization": f"Bearer {KEY}"}))
    secrets = ("whsec_b2xkIHNlY3JldA==", response.json()["key"])
    return {"webhook_secrets": tuple(SecretStr(secret) for secret in secrets)}


CASE = JobCase(
    spec=SPEC,
    settings=_settings,
    webhook_settings=_webhook_settings,
    endpoint="black-forest-labs/flux-schnell",
    parameters={"aspect_ratio": "1:1", "output_format": "png", "options": {"megapixels": "0.25"}},
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
    max_inputs=1,
)
