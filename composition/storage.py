"""Object storage, and the pipeline that image bytes pass through on their way to it."""

import ssl
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from adapters.storage.address_guard import guarded_pool
from adapters.storage.download import GuardedDownloader
from adapters.storage.image_inspector import PillowInspector
from adapters.storage.minio_root import MinioRoot
from adapters.storage.s3 import S3Store, s3_admin, s3_client
from composition.providers import result_hosts
from composition.settings import ServiceSettings
from settings import Settings

_S3_THREADS = 8
_DECODING_THREADS = 2


@dataclass(frozen=True)
class ImagePipeline:
    """Downloads an image and inspects it."""

    downloader: GuardedDownloader
    inspector: PillowInspector


@asynccontextmanager
async def object_store(settings: Settings) -> AsyncIterator[S3Store]:
    """Open the bucket, on its own threads so that a slow store delays nothing else."""
    access, secret = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
    with ThreadPoolExecutor(_S3_THREADS, thread_name_prefix="s3") as threads:
        client = s3_client(settings.s3_endpoint, access, secret, settings.s3_region)
        public = settings.s3_public_endpoint or settings.s3_endpoint
        signer = s3_client(public, access, secret, settings.s3_region)
        yield S3Store(client, signer, threads, bucket=settings.s3_bucket)


async def limit_account(settings: Settings) -> bool:
    """Limit the service's account to its bucket, by the root account; return whether that one is set."""
    if settings.s3_root_access_key is None or settings.s3_root_secret_key is None:
        return False
    root = settings.s3_root_access_key.get_secret_value(), settings.s3_root_secret_key.get_secret_value()
    access, secret = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
    if access == root[0]:
        raise ValueError("S3_ACCESS_KEY is the root account; the service needs one of its own")
    with ThreadPoolExecutor(1, thread_name_prefix="s3-root") as threads:
        client = s3_client(settings.s3_endpoint, *root, settings.s3_region)
        admin = s3_admin(settings.s3_endpoint, *root, settings.s3_region)
        await MinioRoot(client, admin, threads, bucket=settings.s3_bucket).limit_account(access, secret)
    return True


def result_images(settings: ServiceSettings) -> AbstractAsyncContextManager[ImagePipeline]:
    """Open the pipeline for the results of providers."""
    return _image_pipeline(
        result_hosts(settings),
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        timeout_seconds=settings.download_timeout_seconds,
    )


def input_images(settings: Settings) -> AbstractAsyncContextManager[ImagePipeline]:
    """Open the pipeline for the images of clients, which cannot reach hosts that only results come from."""
    return _image_pipeline(
        settings.input_hosts,
        max_bytes=settings.max_input_bytes,
        max_pixels=settings.max_image_pixels,
        timeout_seconds=settings.input_timeout_seconds,
    )


@asynccontextmanager
async def _image_pipeline(
    hosts: Sequence[str], *, max_bytes: int, max_pixels: int, timeout_seconds: float
) -> AsyncIterator[ImagePipeline]:
    """Open a pipeline for images from `hosts`. Of these, only whole origins may be private addresses."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(guarded_pool(hosts, ssl.create_default_context()))
        threads = stack.enter_context(ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="decode"))
        yield ImagePipeline(
            GuardedDownloader(pool, max_bytes=max_bytes, total_seconds=timeout_seconds),
            PillowInspector(threads, max_pixels=max_pixels),
        )
