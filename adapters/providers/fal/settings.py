"""The settings of fal, `FAL_…`."""

from collections.abc import Iterator

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
    """user_id: the account whose webhooks are accepted."""

    model_config = SettingsConfigDict(env_prefix="FAL_")

    key: Credential = None
    user_id: OptionalText = None
    queue_url: HttpAddress = "https://queue.fal.run"
    jwks_url: HttpAddress = "https://rest.fal.ai/.well-known/jwks.json"
    result_hosts: HostList = ("fal.media", "*.fal.media")

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
