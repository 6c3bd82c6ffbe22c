"""The providers that this installation has credentials for."""

from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import SecretStr

from adapters.moderation import OpenAiModerationCheck, WordListCheck
from adapters.providers.bfl import BflProvider, BflWebhookReader
from adapters.providers.client import provider_client
from adapters.providers.fal import FalProvider
from adapters.providers.fal_webhook import FalKeys, FalWebhookReader
from adapters.providers.gemini import GeminiProvider
from adapters.providers.openai import OpenAiProvider
from adapters.providers.replicate import ReplicateProvider
from adapters.providers.replicate_webhook import ReplicateWebhookReader
from adapters.providers.spool import Spool
from adapters.providers.together import TogetherProvider
from domain.ports import InputCheck, Provider, SynchronousProvider, WebhookReader
from domain.provider import AttemptRef
from domain.url_signatures import callback_token
from settings import Settings

_ANSWER_THREADS = 2
# A connection each: hundreds may wait for their images at once.
_MOST_CALLS = 500


@dataclass(frozen=True)
class Providers:
    """Those with jobs that can be asked about, and those that answer with the images themselves."""

    with_jobs: dict[str, Provider] = field(default_factory=dict)
    synchronous: dict[str, SynchronousProvider] = field(default_factory=dict)


def enabled_providers(settings: Settings) -> tuple[str, ...]:
    """A provider without credentials is off. Raises ValueError for half a set of them."""
    if settings.fal_key is not None and settings.fal_user_id is None:
        raise ValueError("FAL_USER_ID is needed with FAL_KEY: without it any account's webhook is believed")
    keys: Mapping[str, SecretStr | None] = {
        FalProvider.name: settings.fal_key,
        ReplicateProvider.name: settings.replicate_api_token,
        BflProvider.name: settings.bfl_api_key,
        OpenAiProvider.name: settings.openai_api_key,
        GeminiProvider.name: settings.gemini_api_key,
        TogetherProvider.name: settings.together_api_key,
    }
    return tuple(name for name, key in keys.items() if key is not None)


@asynccontextmanager
async def providers(settings: Settings) -> AsyncIterator[Providers]:
    async with AsyncExitStack() as stack:
        # One each: a provider that hangs must not use up the connections of the others.
        names = (FalProvider.name, ReplicateProvider.name, BflProvider.name)
        clients = {name: await stack.enter_async_context(provider_client()) for name in names}
        seconds = settings.synchronous_timeout_seconds
        patient = await stack.enter_async_context(
            provider_client(read_seconds=seconds, connections=_MOST_CALLS, largest_answer_bytes=None)
        )
        threads = stack.enter_context(ThreadPoolExecutor(_ANSWER_THREADS, thread_name_prefix="answer"))
        spool = Spool(patient, threads, total_seconds=seconds)
        with_jobs, synchronous = _with_jobs(settings, clients), _synchronous(settings, spool)
        yield Providers(
            {provider.name: provider for provider in with_jobs},
            {provider.name: provider for provider in synchronous},
        )


def _with_jobs(settings: Settings, clients: Mapping[str, httpx.AsyncClient]) -> list[Provider]:
    found: list[Provider] = []
    if settings.fal_key is not None:
        key = settings.fal_key.get_secret_value()
        http, hosts = clients[FalProvider.name], settings.fal_result_hosts
        found.append(FalProvider(http, key=key, queue_url=settings.fal_queue_url, result_hosts=hosts))
    if settings.replicate_api_token is not None:
        token = settings.replicate_api_token.get_secret_value()
        http, hosts = clients[ReplicateProvider.name], settings.replicate_result_hosts
        found.append(ReplicateProvider(http, token=token, url=settings.replicate_url, result_hosts=hosts))
    if settings.bfl_api_key is not None:
        found.append(
            BflProvider(
                clients[BflProvider.name],
                key=settings.bfl_api_key.get_secret_value(),
                url=settings.bfl_url,
                polling_hosts=settings.bfl_polling_hosts,
                result_hosts=settings.bfl_result_hosts,
                master_key=settings.master_key.get_secret_value() if settings.bfl_webhooks else None,
            )
        )
    return found


def _synchronous(settings: Settings, spool: Spool) -> list[SynchronousProvider]:
    found: list[SynchronousProvider] = []
    if settings.openai_api_key is not None:
        key = settings.openai_api_key.get_secret_value()
        found.append(OpenAiProvider(spool, key=key, url=settings.openai_url))
    if settings.gemini_api_key is not None:
        key = settings.gemini_api_key.get_secret_value()
        found.append(GeminiProvider(spool, key=key, url=settings.gemini_url))
    if settings.together_api_key is not None:
        key = settings.together_api_key.get_secret_value()
        found.append(TogetherProvider(spool, key=key, url=settings.together_url))
    return found


def webhook_readers(settings: Settings, http: httpx.AsyncClient) -> dict[str, WebhookReader]:
    return {name: make(http) for name, make in _readers(settings).items()}


def providers_with_webhooks(settings: Settings) -> frozenset[str]:
    """Those that are asked to call back: all others are polled, as nobody could tell a forgery."""
    return frozenset(_readers(settings))


def _readers(settings: Settings) -> dict[str, Callable[[httpx.AsyncClient], WebhookReader]]:
    """Replicate's webhooks are read only with a signing secret, BFL's only where they are switched on."""
    readers: dict[str, Callable[[httpx.AsyncClient], WebhookReader]] = {}
    user_id, jwks_url = settings.fal_user_id, settings.fal_jwks_url
    if settings.fal_key is not None and user_id is not None:
        readers[FalProvider.name] = lambda http: FalWebhookReader(FalKeys(http, jwks_url), user_id=user_id)
    if settings.replicate_api_token is not None and settings.replicate_webhook_secrets:
        secrets = [secret.get_secret_value() for secret in settings.replicate_webhook_secrets]
        readers[ReplicateProvider.name] = lambda _: ReplicateWebhookReader(secrets)
    if settings.bfl_api_key is not None and settings.bfl_webhooks:
        master_key = settings.master_key.get_secret_value()
        readers[BflProvider.name] = lambda _: BflWebhookReader(master_key)
    return readers


def checks_input(settings: Settings) -> bool:
    return settings.moderation_words_file is not None or settings.moderation_with_openai


@asynccontextmanager
async def input_check(settings: Settings) -> AsyncIterator[InputCheck | None]:
    """Our own look at prompts, if one was asked for: the list of words, else OpenAI's endpoint."""
    if settings.moderation_words_file is not None:
        yield WordListCheck.of_file(Path(settings.moderation_words_file))
    elif settings.moderation_with_openai:
        if settings.openai_api_key is None:
            raise ValueError("MODERATION_WITH_OPENAI needs OPENAI_API_KEY")
        key = settings.openai_api_key.get_secret_value()
        async with provider_client() as http:
            yield OpenAiModerationCheck(http, key=key, url=settings.openai_url)
    else:
        yield None


def webhook_url(settings: Settings) -> Callable[[str, AttemptRef], str]:
    """Return what builds the address at which a provider may report on an attempt.

    The address is empty for a provider whose webhooks cannot be verified here. Its last part admits reports
    on that attempt only.
    """
    master_key, base = settings.master_key.get_secret_value(), settings.callback_base_url
    verified = providers_with_webhooks(settings)

    def url(provider: str, attempt: AttemptRef) -> str:
        if provider not in verified:
            return ""
        token = callback_token(master_key, attempt)
        return f"{base}/v1/webhooks/{provider}/{attempt.generation_id}/{token}"

    return url


def result_hosts(settings: Settings) -> tuple[str, ...]:
    """Return the hosts that results may be downloaded from."""
    return (
        *settings.fal_result_hosts,
        *settings.replicate_result_hosts,
        *settings.bfl_result_hosts,
    )
