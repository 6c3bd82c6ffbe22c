"""The settings of Together AI, `TOGETHER_…`."""

from pydantic_settings import SettingsConfigDict

from adapters.providers.settings import Credential, HttpAddress, ProviderSettings


class TogetherSettings(ProviderSettings):
    """An API key, and the address of the API."""

    model_config = SettingsConfigDict(env_prefix="TOGETHER_")

    api_key: Credential = None
    url: HttpAddress = "https://api.together.ai/v1"

    @property
    def is_enabled(self) -> bool:
        return self.api_key is not None
