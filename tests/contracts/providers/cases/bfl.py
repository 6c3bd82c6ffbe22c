"""Black Forest Labs at its simulator."""

from pydantic import SecretStr

from adapters.providers.bfl.settings import BflSettings
from adapters.providers.bfl.spec import SPEC
from domain.errors import InvalidInput, SubmitAmbiguous
from domain.moderation import ModeratedAt
from tests.contracts.providers.job_case import JobCase
from tests.contracts.providers.simulated import SimulatedProvider


def _settings(simulator: SimulatedProvider, key: str) -> BflSettings:
    return BflSettings(
        api_key=SecretStr(key),
        webhooks=True,
        url=simulator.url,
        polling_hosts=(simulator.polling_url,),
        result_hosts=(simulator.url, simulator.polling_url),
    )


CASE = JobCase(
    spec=SPEC,
    settings=_settings,
    endpoint="flux-2-pro",
    parameters={"size": "64x64", "output_format": "png"},
    cost_unit="bfl_credit",
    unavailable=SubmitAmbiguous,
    rejected=InvalidInput,
    moderation={"moderation=input": ModeratedAt.INPUT, "moderation=output": ModeratedAt.OUTPUT},
    forged=("forged_webhook",),
    makes_several=False,
    can_cancel=False,
    webhooks_are_final=False,
    editor="flux-2-pro",
    max_inputs=2,
)
