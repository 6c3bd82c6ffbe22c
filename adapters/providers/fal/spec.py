"""How fal is built from its settings."""

from adapters.providers.fal.adapter import FalProvider
from adapters.providers.fal.errors import ERRORS
from adapters.providers.fal.settings import FalSettings
from adapters.providers.fal.webhooks import FalKeys, FalWebhookReader
from adapters.providers.settings import secret
from adapters.providers.spec import JobProviderSpec, JobTools
from adapters.transport.http import HttpClient
from domain.keyring import Keyring


def _adapter(settings: FalSettings, http: HttpClient, _tools: JobTools) -> FalProvider:
    return FalProvider(
        http,
        key=secret(settings.key),
        queue_url=settings.queue_url,
        result_hosts=settings.result_hosts,
        media_seconds=settings.media_seconds,
        store_payloads=settings.store_payloads,
    )


def _webhook_reader(settings: FalSettings, http: HttpClient, _keyring: Keyring) -> FalWebhookReader:
    if settings.user_id is None:
        raise ValueError("FAL_USER_ID is needed with FAL_KEY: without it any account's webhook is accepted")
    return FalWebhookReader(FalKeys(http, settings.jwks_url), user_id=settings.user_id)


SPEC = JobProviderSpec(FalProvider.name, FalSettings, ERRORS, _adapter, _webhook_reader)
