"""The settings of Replicate, `REPLICATE_…`."""

from pydantic_settings import SettingsConfigDict

from adapters.providers.settings import Credential, HostList, HttpAddress, JobProviderSettings, SecretList


class ReplicateSettings(JobProviderSettings):
    """webhook_secrets: verify webhooks; without one, none is requested."""

    model_config = SettingsConfigDict(env_prefix="REPLICATE_")

    api_token: Credential = None
    webhook_secrets: SecretList = ()
    url: HttpAddress = "https://api.replicate.com/v1"
    result_hosts: HostList = ("replicate.delivery", "*.replicate.delivery")

    @property
    def is_enabled(self) -> bool:
        return self.api_token is not None

    @property
    def reads_webhooks(self) -> bool:
        return bool(self.webhook_secrets)
