"""How Black Forest Labs is built from its settings."""

from adapters.providers.bfl.adapter import BflProvider
from adapters.providers.bfl.errors import ERRORS
from adapters.providers.bfl.settings import BflSettings
from adapters.providers.bfl.webhooks import BflWebhookReader
from adapters.providers.settings import secret
from adapters.providers.spec import JobProviderSpec, JobTools
from adapters.transport.http import HttpClient
from domain.keyring import Keyring


def _adapter(settings: BflSettings, http: HttpClient, tools: JobTools) -> BflProvider:
    return BflProvider(
        http,
        key=secret(settings.api_key),
        url=settings.url,
        polling_hosts=settings.polling_hosts,
        result_hosts=settings.result_hosts,
        invert_alpha=tools.invert_alpha,
        keyring=tools.keyring if settings.webhooks else None,
    )


def _webhook_reader(_settings: BflSettings, _http: HttpClient, keyring: Keyring) -> BflWebhookReader:
    return BflWebhookReader(keyring)


SPEC = JobProviderSpec(BflProvider.name, BflSettings, ERRORS, _adapter, _webhook_reader)
