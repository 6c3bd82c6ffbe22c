"""Gemini at its simulator."""

from pydantic import SecretStr

from adapters.providers.gemini.settings import GeminiSettings
from adapters.providers.gemini.spec import SPEC
from domain.errors import ProviderUnavailable
from domain.moderation import ModeratedAt
from tests.contracts.providers.synchronous_case import SynchronousCase


def _settings(url: str, key: str) -> GeminiSettings:
    return GeminiSettings(api_key=SecretStr(key), url=f"{url}/v1beta")


CASE = SynchronousCase(
    spec=SPEC,
    settings=_settings,
    endpoint="gemini-3.1-flash-image",
    editor="gemini-3-pro-image",
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
)
