"""How Replicate is built from its settings."""

from adapters.providers.replicate.adapter import ReplicateProvider
from adapters.providers.replicate.errors import ERRORS
from adapters.providers.replicate.settings import ReplicateSettings
from adapters.providers.replicate.webhooks import ReplicateWebhookReader
from adapters.providers.settings import secret
from adapters.providers.spec import JobProviderSpec, JobTools
from adapters.transport.http import HttpClient
from domain.keyring import Keyring


def _adapter(settings: ReplicateSettings, http: HttpClient, _tools: JobTools) -> ReplicateProvider:
    return ReplicateProvider(
        http,
        token=secret(settings.api_token),
        url=settings.url,
        result_hosts=settings.result_hosts,
    )


def _webhook_reader(
    settings: ReplicateSettings, _http: HttpClient, _keyring: Keyring
) -> ReplicateWebhookReader:
    return ReplicateWebhookReader(secret.get_secret_value() for secret in settings.webhook_secrets)


SPEC = JobProviderSpec(
    ReplicateProvider.name, ReplicateSettings, ERRORS, _adapter, _webhook_reader, finds_jobs=True
)
