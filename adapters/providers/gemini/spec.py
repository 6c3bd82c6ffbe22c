"""How Gemini is built from its settings."""

from adapters.providers.gemini.adapter import GeminiProvider
from adapters.providers.gemini.errors import ERRORS
from adapters.providers.gemini.settings import GeminiSettings
from adapters.providers.http.inline_images import InlineImageClient
from adapters.providers.settings import secret
from adapters.providers.spec import SynchronousProviderSpec


def _adapter(settings: GeminiSettings, client: InlineImageClient) -> GeminiProvider:
    return GeminiProvider(client, key=secret(settings.api_key), url=settings.url)


SPEC = SynchronousProviderSpec(GeminiProvider.name, GeminiSettings, ERRORS, _adapter)
