"""OpenAI at its simulator."""

from pydantic import SecretStr

from adapters.providers.openai.settings import OpenAiSettings
from adapters.providers.openai.spec import SPEC
from domain.errors import ProviderUnavailable
from domain.moderation import ModeratedAt
from tests.contracts.providers.synchronous_case import SynchronousCase


def _settings(url: str, key: str) -> OpenAiSettings:
    return OpenAiSettings(api_key=SecretStr(key), url=f"{url}/v1")


CASE = SynchronousCase(
    spec=SPEC,
    settings=_settings,
    endpoint="gpt-image-2",
    editor="gpt-image-1.5",
    parameters={"size": "1024x1024", "quality": "low", "output_format": "jpeg"},
    unavailable=ProviderUnavailable,
    moderation={"reject": ModeratedAt.INPUT, "moderation": ModeratedAt.OUTPUT},
    refusals=("invalid_key", "insufficient_quota"),
    cost_unit="token",
    has_masks=True,
)
