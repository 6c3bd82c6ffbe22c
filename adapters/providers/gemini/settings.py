"""The settings of Google Gemini, `GEMINI_…`."""

from pydantic_settings import SettingsConfigDict

from adapters.providers.settings import Credential, HttpAddress, ProviderSettings


class GeminiSettings(ProviderSettings):
    """An API key, and the address of the API."""

    model_config = SettingsConfigDict(env_prefix="GEMINI_")

    api_key: Credential = None
    url: HttpAddress = "https://generativelanguage.googleapis.com/v1beta"

    @property
    def is_enabled(self) -> bool:
        return self.api_key is not None
