"""How OpenAI is built from its settings."""

from adapters.providers.http.inline_images import InlineImageClient
from adapters.providers.openai.adapter import OpenAiProvider
from adapters.providers.openai.errors import ERRORS
from adapters.providers.openai.settings import OpenAiSettings
from adapters.providers.settings import secret
from adapters.providers.spec import SynchronousProviderSpec


def _adapter(settings: OpenAiSettings, client: InlineImageClient) -> OpenAiProvider:
    return OpenAiProvider(client, key=secret(settings.api_key), url=settings.url)


SPEC = SynchronousProviderSpec(OpenAiProvider.name, OpenAiSettings, ERRORS, _adapter)
