"""Which adapter stands behind which port: the one place that entry points build the outside from."""

import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from adapters.catalogue import load_catalogue
from adapters.database.engine import Database
from adapters.providers.client import provider_client
from adapters.providers.fal import FalProvider
from adapters.providers.fal_webhook import FalKeys, FalWebhookReader
from adapters.storage.download import GuardedDownloader
from adapters.storage.guard import guarded_pool
from adapters.storage.inspect import PillowInspector
from adapters.storage.objects import S3Store, s3_client
from adapters.temporal import TemporalAddress
from domain.catalogue import Catalogue
from domain.generation import GenerationRequest, Waits
from domain.ports import Provider, WebhookReader
from domain.provider import AttemptRef
from domain.tokens import callback_token
from settings import Settings

_S3_THREADS = 8
_DECODING_THREADS = 2


@dataclass(frozen=True)
class Images:
    """Everything that image bytes pass through on their way to storage."""

    downloader: GuardedDownloader
    inspector: PillowInspector
    store: S3Store


def temporal_address(settings: Settings) -> TemporalAddress:
    key = settings.temporal_api_key
    return TemporalAddress(
        settings.temporal_address,
        settings.temporal_namespace,
        key.get_secret_value() if key else None,
        settings.temporal_tls,
    )


def enabled_providers(settings: Settings) -> tuple[str, ...]:
    """A provider without credentials is off. Raises ValueError for half a set of them."""
    if settings.fal_key is None:
        return ()
    if settings.fal_user_id is None:
        raise ValueError("FAL_USER_ID is needed with FAL_KEY: without it any account's webhook is believed")
    return (FalProvider.name,)


def catalogue(settings: Settings) -> Catalogue:
    return load_catalogue(
        Path(__file__).parent / settings.models_file,
        providers=enabled_providers(settings),
        queue_timeout_seconds=settings.queue_timeout_seconds,
        deadline_cap_seconds=settings.deadline_cap_seconds,
        first_poll_cap_seconds=settings.first_poll_cap_seconds,
    )


def waits_of(models: Catalogue) -> Callable[[GenerationRequest], Waits]:
    """The plan of a request's model; a model that has left the catalogue keeps a cautious one."""
    cautious = Waits(10, 1.6, 60, 0.2, 600, 3600)

    def waits(request: GenerationRequest) -> Waits:
        model = models.models.get(request.model)
        return model.waits if model is not None else cautious

    return waits


def database(settings: Settings) -> Database:
    return Database(settings.database_url.get_secret_value(), pool_size=settings.database_pool_size)


def webhook_url(settings: Settings) -> Callable[[str, AttemptRef], str]:
    """The address a provider may report an attempt to; its last part lets in that report only."""
    master_key, base = settings.master_key.get_secret_value(), settings.callback_base_url

    def url(provider: str, attempt: AttemptRef) -> str:
        token = callback_token(master_key, attempt)
        return f"{base}/v1/webhooks/{provider}/{attempt.generation_id}/{token}"

    return url


@asynccontextmanager
async def providers(settings: Settings) -> AsyncIterator[dict[str, Provider]]:
    async with AsyncExitStack() as stack:
        found: dict[str, Provider] = {}
        if settings.fal_key is not None:
            http = await stack.enter_async_context(provider_client())
            found[FalProvider.name] = FalProvider(
                http,
                key=settings.fal_key.get_secret_value(),
                queue_url=settings.fal_queue_url,
                result_hosts=settings.fal_result_hosts,
            )
        yield found


def webhook_readers(settings: Settings, http: httpx.AsyncClient) -> dict[str, WebhookReader]:
    if settings.fal_key is None or settings.fal_user_id is None:
        return {}
    keys = FalKeys(http, settings.fal_jwks_url)
    return {FalProvider.name: FalWebhookReader(keys, user_id=settings.fal_user_id)}


@asynccontextmanager
async def object_store(settings: Settings) -> AsyncIterator[S3Store]:
    """The bucket, on threads of its own so that a slow store holds up nothing else."""
    access, secret = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
    with ThreadPoolExecutor(_S3_THREADS, thread_name_prefix="s3") as threads:
        client = s3_client(settings.s3_endpoint, access, secret, settings.s3_region)
        public = settings.s3_public_endpoint or settings.s3_endpoint
        signer = s3_client(public, access, secret, settings.s3_region)
        yield S3Store(client, signer, threads, bucket=settings.s3_bucket)


@asynccontextmanager
async def images(settings: Settings) -> AsyncIterator[Images]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(object_store(settings))
        pool = await stack.enter_async_context(
            guarded_pool(settings.fal_result_hosts, ssl.create_default_context())
        )
        threads = stack.enter_context(ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="decode"))
        yield Images(
            GuardedDownloader(
                pool,
                largest_bytes=settings.max_image_bytes,
                total_seconds=settings.download_timeout_seconds,
            ),
            PillowInspector(threads, largest_pixels=settings.max_image_pixels),
            store,
        )
