"""Which adapter stands behind which port: the one place that entry points build the outside from."""

import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.catalog.models_toml import load_catalog
from adapters.database.engine import Database
from adapters.storage.address_guard import guarded_pool
from adapters.storage.download import GuardedDownloader
from adapters.storage.image_inspector import PillowInspector
from adapters.storage.s3 import S3Store, s3_client
from adapters.temporal import TemporalAddress
from composition.providers import (
    Providers,
    checks_input,
    enabled_providers,
    input_check,
    providers,
    providers_with_webhooks,
    webhook_readers,
)
from domain.catalog import Catalog
from domain.provider import AttemptRef
from domain.url_signatures import callback_token
from settings import Settings

_ROOT = Path(__file__).parents[1]
_S3_THREADS = 8
_DECODING_THREADS = 2


__all__ = [
    "Images",
    "Providers",
    "catalog",
    "database",
    "enabled_providers",
    "images",
    "input_check",
    "object_store",
    "providers",
    "temporal_address",
    "webhook_readers",
    "webhook_url",
]


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


def catalog(settings: Settings) -> Catalog:
    return load_catalog(
        _ROOT / settings.models_file,
        providers=enabled_providers(settings),
        queue_timeout_seconds=settings.queue_timeout_seconds,
        deadline_cap_seconds=settings.deadline_cap_seconds,
        first_poll_cap_seconds=settings.first_poll_cap_seconds,
        checks_input=checks_input(settings),
    )


def database(settings: Settings) -> Database:
    return Database(settings.database_url.get_secret_value(), pool_size=settings.database_pool_size)


def webhook_url(settings: Settings) -> Callable[[str, AttemptRef], str]:
    """The address a provider may report an attempt to; its last part lets in that report only.

    Empty for a provider whose webhooks nobody here reads.
    """
    master_key, base = settings.master_key.get_secret_value(), settings.callback_base_url
    heard = providers_with_webhooks(settings)

    def url(provider: str, attempt: AttemptRef) -> str:
        if provider not in heard:
            return ""
        token = callback_token(master_key, attempt)
        return f"{base}/v1/webhooks/{provider}/{attempt.generation_id}/{token}"

    return url


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
            guarded_pool(_outside_hosts(settings), ssl.create_default_context())
        )
        threads = stack.enter_context(ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="decode"))
        yield Images(
            GuardedDownloader(
                pool,
                max_bytes=settings.max_image_bytes,
                total_seconds=settings.download_timeout_seconds,
            ),
            PillowInspector(threads, max_pixels=settings.max_image_pixels),
            store,
        )


def _outside_hosts(settings: Settings) -> tuple[str, ...]:
    """Whom results may come from. Of these, only whole origins open a way to a private address."""
    return (
        *settings.fal_result_hosts,
        *settings.replicate_result_hosts,
        *settings.bfl_result_hosts,
    )
