"""The providers that this installation has credentials for, built from the SPEC of each."""

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from adapters.images.decoder_pool import DecoderPool
from adapters.images.inspector import invert_alpha
from adapters.moderation import OpenAiModerationCheck, WordListCheck
from adapters.providers.http.client import provider_client
from adapters.providers.http.inline_images import InlineImageClient
from adapters.providers.openai.settings import OpenAiSettings
from adapters.providers.settings import ProviderSettings
from adapters.providers.spec import AdapterTools, JobTools, Providers, ProviderSpec, provider_specs
from adapters.transport.http import HttpClient
from composition.settings import ServiceSettings, keyring
from domain.ports import InputCheck, WebhookReader
from domain.provider import AttemptRef
from domain.url_signatures import accepted_callback_tokens
from settings import Settings

__all__ = [
    "Providers",
    "checks_input",
    "enabled_providers",
    "input_check",
    "providers",
    "providers_that_list_jobs",
    "providers_with_webhooks",
    "result_hosts",
    "submits_per_second",
    "webhook_readers",
    "webhook_url",
    "webhook_urls",
]

_DECODING_THREADS = 2
# Each call holds a connection, and hundreds may wait for their images at once.
_MAX_SYNCHRONOUS_CALLS = 500


def _configured(settings: ServiceSettings) -> Iterator[tuple[ProviderSpec[Any], ProviderSettings]]:
    return ((spec, settings.providers.by_name[spec.name]) for spec in provider_specs())


def enabled_providers(settings: ServiceSettings) -> tuple[str, ...]:
    """Return the providers with credentials."""
    return tuple(spec.name for spec, own in _configured(settings) if own.is_enabled)


@asynccontextmanager
async def providers(settings: ServiceSettings, decoders: DecoderPool) -> AsyncIterator[Providers]:
    """Open the adapter of every enabled provider. decoders: rewrite masks."""
    async with AsyncExitStack() as stack:

        def open_client() -> HttpClient:
            client = provider_client()
            stack.push_async_callback(client.aclose)
            return client

        seconds = settings.synchronous_timeout_seconds
        http = await stack.enter_async_context(
            provider_client(
                read_seconds=seconds, max_connections=_MAX_SYNCHRONOUS_CALLS, max_response_bytes=None
            )
        )
        threads = stack.enter_context(ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="inline"))
        inline_images = InlineImageClient(http, threads, total_seconds=seconds)
        jobs = JobTools(keyring(settings), partial(invert_alpha, decoders))
        tools = AdapterTools(open_client, inline_images, jobs)
        found = Providers()
        for spec, own in _configured(settings):
            if own.is_enabled:
                spec.add_adapter(found, own, tools)
        yield found


def webhook_readers(settings: ServiceSettings, http: HttpClient) -> dict[str, WebhookReader]:
    """Return the reader of every provider whose webhooks can be verified here."""
    keys = keyring(settings)
    readers = {spec.name: spec.webhook_reader(own, http, keys) for spec, own in _configured(settings)}
    return {name: reader for name, reader in readers.items() if reader is not None}


def providers_with_webhooks(settings: ServiceSettings) -> frozenset[str]:
    """Return the providers that are asked to call back; all others are polled only."""
    return frozenset(spec.name for spec, own in _configured(settings) if spec.reads_webhooks(own))


def providers_that_list_jobs() -> frozenset[str]:
    """Return the providers at which a job can be found by the callback address that we gave."""
    return frozenset(spec.name for spec in provider_specs() if spec.lists_jobs)


def submits_per_second(settings: ServiceSettings) -> dict[str, float]:
    """Return the submit rates that the environment sets; they replace those of the catalog."""
    rates = {spec.name: own.submits_per_second for spec, own in _configured(settings)}
    return {name: rate for name, rate in rates.items() if rate is not None}


def checks_input(settings: Settings) -> bool:
    """Return whether prompts are checked before any credits are held."""
    return settings.moderation_words_file is not None or settings.moderation_with_openai


@asynccontextmanager
async def input_check(settings: ServiceSettings) -> AsyncIterator[InputCheck | None]:
    """Open the configured check of prompts: a word list, or OpenAI's endpoint; None without either."""
    if settings.moderation_words_file is not None:
        yield WordListCheck.of_file(Path(settings.moderation_words_file))
    elif settings.moderation_with_openai:
        openai = settings.providers.of(OpenAiSettings)
        if openai.api_key is None:
            raise ValueError("MODERATION_WITH_OPENAI needs OPENAI_API_KEY")
        async with provider_client() as http:
            yield OpenAiModerationCheck(http, key=openai.api_key.get_secret_value(), url=openai.url)
    else:
        yield None


def webhook_url(settings: ServiceSettings) -> Callable[[str, AttemptRef], str]:
    """Return what builds the address at which a provider may report on an attempt.

    The address is empty for a provider whose webhooks cannot be verified here. Its last part admits reports
    on that attempt only.
    """
    urls = webhook_urls(settings)

    def url(provider: str, attempt: AttemptRef) -> str:
        return next(iter(urls(provider, attempt)), "")

    return url


def webhook_urls(settings: ServiceSettings) -> Callable[[str, AttemptRef], tuple[str, ...]]:
    """Return what builds every address that is accepted for an attempt, the one that is given out first."""
    keys, base = keyring(settings), settings.callback_base_url
    verified = providers_with_webhooks(settings)

    def urls(provider: str, attempt: AttemptRef) -> tuple[str, ...]:
        if provider not in verified:
            return ()
        path = f"{base}/v1/webhooks/{provider}/{attempt.generation_id}"
        return tuple(f"{path}/{token}" for token in accepted_callback_tokens(keys, attempt))

    return urls


def result_hosts(settings: ServiceSettings) -> tuple[str, ...]:
    """Return the hosts that results may be downloaded from."""
    return tuple(host for spec, own in _configured(settings) for host in spec.result_hosts(own))
