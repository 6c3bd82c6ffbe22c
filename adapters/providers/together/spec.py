"""How Together AI is built from its settings."""

from adapters.providers.http.inline_images import InlineImageClient
from adapters.providers.settings import secret
from adapters.providers.spec import SynchronousProviderSpec
from adapters.providers.together.adapter import TogetherProvider
from adapters.providers.together.errors import ERRORS
from adapters.providers.together.settings import TogetherSettings


def _adapter(settings: TogetherSettings, client: InlineImageClient) -> TogetherProvider:
    return TogetherProvider(client, key=secret(settings.api_key), url=settings.url)


SPEC = SynchronousProviderSpec(TogetherProvider.name, TogetherSettings, ERRORS, _adapter)
