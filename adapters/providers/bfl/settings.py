"""The settings of Black Forest Labs, `BFL_…`."""

from pydantic_settings import SettingsConfigDict

from adapters.providers.settings import Credential, HostList, HttpAddress, JobProviderSettings


class BflSettings(JobProviderSettings):
    """polling_hosts: where the key may be sent besides `url`. webhooks: whether they are requested."""

    model_config = SettingsConfigDict(env_prefix="BFL_")

    api_key: Credential = None
    webhooks: bool = False
    url: HttpAddress = "https://api.bfl.ai"
    polling_hosts: HostList = ("bfl.ai", "*.bfl.ai")
    result_hosts: HostList = ("bfl.ai", "*.bfl.ai", "bfldelivery*.blob.core.windows.net")

    @property
    def is_enabled(self) -> bool:
        return self.api_key is not None

    @property
    def reads_webhooks(self) -> bool:
        return self.webhooks
