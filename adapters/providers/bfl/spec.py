"""How Black Forest Labs is built from its settings."""

import httpx

from adapters.providers.bfl.adapter import BflProvider
from adapters.providers.bfl.errors import ERRORS
from adapters.providers.bfl.settings import BflSettings
from adapters.providers.bfl.webhooks import BflWebhookReader
from adapters.providers.settings import secret
from adapters.providers.spec import JobProviderSpec, JobTools
from domain.keyring import Keyring


def _adapter(settings: BflSettings, http: httpx.AsyncClient, tools: JobTools) -> BflProvider:
    return BflProvider(
        http,
        key=secret(settings.api_key),
        url=settings.url,
        polling_hosts=settings.polling_hosts,
        result_hosts=settings.result_hosts,
        invert_alpha=tools.invert_alpha,
        keyring=tools.keyring if settings.webhooks else None,
    )


def _webhook_reader(_settings: BflSettings, _http: httpx.AsyncClient, keyring: Keyring) -> BflWebhookReader:
    return BflWebhookReader(keyring)


SPEC = JobProviderSpec(BflProvider.name, BflSettings, ERRORS, _adapter, _webhook_reader)
