"""The settings of fal, `FAL_…`."""

from pydantic_settings import SettingsConfigDict

from adapters.providers.settings import Credential, HostList, HttpAddress, JobProviderSettings


class FalSettings(JobProviderSettings):
    """user_id: the account whose webhooks are accepted."""

    model_config = SettingsConfigDict(env_prefix="FAL_")

    key: Credential = None
    user_id: str | None = None
    queue_url: HttpAddress = "https://queue.fal.run"
    jwks_url: HttpAddress = "https://rest.fal.ai/.well-known/jwks.json"
    result_hosts: HostList = ("fal.media", "*.fal.media")

    @property
    def is_enabled(self) -> bool:
        if self.key is not None and self.user_id is None:
            raise ValueError(
                "FAL_USER_ID is needed with FAL_KEY: without it any account's webhook is accepted"
            )
        return self.key is not None

    @property
    def reads_webhooks(self) -> bool:
        return True
