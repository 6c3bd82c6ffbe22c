"""Object storage, and the pipeline that image bytes pass through on their way to it."""

import ssl
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.images.decoder_pool import DecoderPool
from adapters.images.inspector import PooledInspector
from adapters.images.messages import DecodeLimits
from adapters.storage.address_guard import guarded_pool
from adapters.storage.download import GuardedDownloader
from adapters.storage.minio_root import MinioRoot
from adapters.storage.s3 import S3Store
from adapters.transport.s3 import S3Admin, S3Client
from composition.providers import result_hosts
from composition.settings import ServiceSettings
from settings import Settings

_S3_THREADS = 8
# The names of one tenant's inputs, and those of one host of results, which all jobs of a provider may share.
_LOOKUPS_OF_A_TENANT, _LOOKUPS_OF_A_HOST = 4, 16
# In the API a client waits. In the worker an image is paid for, and one that gives its turn up is downloaded
# again: so its activity ends first.
_MAX_WAITING_INPUTS, _INPUT_WAIT_SECONDS = 16, 30.0
_MAX_WAITING_RESULTS, _RESULT_WAIT_SECONDS = 1000, 900.0


@dataclass(frozen=True)
class ImagePipeline:
    """Downloads an image and inspects it."""

    downloader: GuardedDownloader
    inspector: PooledInspector


@asynccontextmanager
async def object_store(settings: Settings) -> AsyncIterator[S3Store]:
    """Open the bucket, on its own threads so that a slow store delays nothing else."""
    access, secret = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
    with ThreadPoolExecutor(_S3_THREADS, thread_name_prefix="s3") as threads:
        region, bucket = settings.s3_region, settings.s3_bucket
        client = S3Client(settings.s3_endpoint, access, secret, region, bucket=bucket)
        public = settings.s3_public_endpoint or settings.s3_endpoint
        signer = S3Client(public, access, secret, region, bucket=bucket)
        yield S3Store(client, signer, threads)


async def limit_account(settings: Settings) -> bool:
    """Limit the service's account to its bucket, by the root account; return whether that one is set."""
    if settings.s3_root_access_key is None or settings.s3_root_secret_key is None:
        return False
    root = settings.s3_root_access_key.get_secret_value(), settings.s3_root_secret_key.get_secret_value()
    access, secret = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
    if access == root[0]:
        raise ValueError("S3_ACCESS_KEY is the root account; the service needs one of its own")
    with ThreadPoolExecutor(1, thread_name_prefix="s3-root") as threads:
        endpoint, region, bucket = settings.s3_endpoint, settings.s3_region, settings.s3_bucket
        client = S3Client(endpoint, *root, region, bucket=bucket)
        admin = S3Admin(endpoint, *root, region)
        await MinioRoot(client, admin, threads, bucket=bucket).limit_account(access, secret)
    return True


def result_decoders(settings: Settings) -> DecoderPool:
    """Return the processes that decode the worker's images. Whoever needs them must enter the pool."""
    return _decoders(settings, max_waiting=_MAX_WAITING_RESULTS, wait_seconds=_RESULT_WAIT_SECONDS)


@asynccontextmanager
async def result_images(settings: ServiceSettings, decoders: DecoderPool) -> AsyncIterator[ImagePipeline]:
    """Open the pipeline for the results of providers."""
    hosts, tls = result_hosts(settings), ssl.create_default_context()
    async with guarded_pool(hosts, tls, max_lookups_each=_LOOKUPS_OF_A_HOST) as pool:
        yield ImagePipeline(
            GuardedDownloader(
                pool, max_bytes=settings.max_image_bytes, total_seconds=settings.download_timeout_seconds
            ),
            PooledInspector(decoders, is_stripped=settings.strip_metadata),
        )


@asynccontextmanager
async def input_images(settings: Settings) -> AsyncIterator[ImagePipeline]:
    """Open the pipeline for the images of clients, which cannot reach hosts that only results come from.

    Of the hosts, only whole origins may be private addresses.
    """
    decoders = _decoders(settings, max_waiting=_MAX_WAITING_INPUTS, wait_seconds=_INPUT_WAIT_SECONDS)
    hosts, tls = settings.input_hosts, ssl.create_default_context()
    async with guarded_pool(hosts, tls, max_lookups_each=_LOOKUPS_OF_A_TENANT) as pool, decoders:
        yield ImagePipeline(
            GuardedDownloader(
                pool, max_bytes=settings.max_input_bytes, total_seconds=settings.input_timeout_seconds
            ),
            PooledInspector(decoders, is_stripped=settings.strip_metadata),
        )


def _decoders(settings: Settings, *, max_waiting: int, wait_seconds: float) -> DecoderPool:
    limits = DecodeLimits(
        max_pixels=settings.max_image_pixels,
        memory_bytes=settings.image_memory_bytes,
        cpu_seconds=settings.image_cpu_seconds,
        # macOS takes the limit and does not hold it.
        limits_address_space=sys.platform == "linux",
    )
    return DecoderPool(
        limits, children=settings.image_decoders, max_waiting=max_waiting, wait_seconds=wait_seconds
    )
