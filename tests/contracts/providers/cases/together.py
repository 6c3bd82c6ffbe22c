"""Together AI at its simulator."""

from pydantic import SecretStr

from adapters.providers.together.settings import TogetherSettings
from adapters.providers.together.spec import SPEC
from domain.errors import SubmitAmbiguous
from domain.moderation import ModeratedAt
from tests.contracts.providers.synchronous_case import SynchronousCase


def _settings(url: str, key: str) -> TogetherSettings:
    return TogetherSettings(api_key=SecretStr(key), url=f"{url}/v1")


CASE = SynchronousCase(
    spec=SPEC,
    settings=_settings,
    endpoint="black-forest-labs/FLUX.1-schnell",
    editor="black-forest-labs/FLUX.1-kontext-pro",
    parameters={"size": "512x512", "output_format": "jpeg"},
    max_inputs=1,
    unavailable=SubmitAmbiguous,
    moderation={"reject": ModeratedAt.INPUT, "moderation": ModeratedAt.OUTPUT},
    refusals=("invalid_key", "insufficient_quota"),
)
