"""The settings of fal, `FAL_…`."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from adapters.providers.settings import (
    Credential,
    HostList,
    HttpAddress,
    JobProviderSettings,
    OptionalText,
)
from domain.setting_checks import SettingProblem


class FalSettings(JobProviderSettings):
    """How fal is used.

    Attributes:
        user_id: The account whose webhooks are accepted.
        media_seconds: How long fal keeps what it made; storing waits no longer (models.toml).
        store_payloads: Whether fal may keep requests and responses, 30 days as its page says.
    """

    model_config = SettingsConfigDict(env_prefix="FAL_")

    key: Credential = None
    user_id: OptionalText = None
    queue_url: HttpAddress = "https://queue.fal.run"
    jwks_url: HttpAddress = "https://rest.fal.ai/.well-known/jwks.json"
    result_hosts: HostList = ("fal.media", "*.fal.media")
    media_seconds: Annotated[int, Field(ge=3600)] = 86_400
    store_payloads: bool = True

    @property
    def is_enabled(self) -> bool:
        return self.key is not None

    def problems(self) -> Iterator[SettingProblem]:
        yield from super().problems()
        if self.user_id is None:
            problem = "it is not set while FAL_KEY is, so webhooks of any account would be accepted"
            yield SettingProblem("FAL_USER_ID", problem, "Set it to the id of your account", always=True)

    @property
    def reads_webhooks(self) -> bool:
        return True
