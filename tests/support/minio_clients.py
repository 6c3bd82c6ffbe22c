"""MinIO's own client, for what the service never does: to list, and to administrate."""

from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin

from tests.support.time_limits import scaled

REQUEST_SECONDS = 20


def minio_client(endpoint: str, access_key: str, secret_key: str, region: str) -> Minio:
    return Minio(
        urlsplit(endpoint).netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=False,
        region=region,
        http_client=_pool(),
    )


def minio_admin(endpoint: str, access_key: str, secret_key: str, region: str) -> MinioAdmin:
    return MinioAdmin(
        endpoint=urlsplit(endpoint).netloc,
        credentials=StaticProvider(access_key, secret_key),
        secure=False,
        region=region,
        http_client=_pool(),
    )


def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=scaled(REQUEST_SECONDS), retries=urllib3.Retry(total=1))
