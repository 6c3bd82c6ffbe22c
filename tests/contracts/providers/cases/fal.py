"""fal at its simulator."""

from pydantic import SecretStr

from adapters.providers.fal.settings import FalSettings
from adapters.providers.fal.spec import SPEC
from domain.errors import ContentRejected, ProviderUnavailable
from domain.moderation import ModeratedAt
from tests.contracts.providers.job_case import USER_ID, JobCase
from tests.contracts.providers.simulated import SimulatedProvider


def _settings(simulator: SimulatedProvider, key: str) -> FalSettings:
    return FalSettings(
        key=SecretStr(key),
        user_id=USER_ID,
        queue_url=simulator.url,
        jwks_url=f"{simulator.url}/.well-known/jwks.json",
        result_hosts=(simulator.url,),
    )


CASE = JobCase(
    spec=SPEC,
    settings=_settings,
    endpoint="fal-ai/flux/schnell",
    parameters={"size": "64x48", "output_format": "png"},
    cost_unit="billable_unit",
    unavailable=ProviderUnavailable,
    rejected=ContentRejected,
    moderation={"moderation": ModeratedAt.INPUT, "nsfw": ModeratedAt.OUTPUT},
    forged=("forged_webhook", "stale_webhook", "wrong_account"),
    free_failure=True,
)
