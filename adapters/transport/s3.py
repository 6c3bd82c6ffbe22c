"""S3: all that adapters know of a client. Only this module imports minio, and urllib3 below it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urlsplit
from xml.etree.ElementTree import ParseError

import minio.error
import urllib3
from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin

from adapters.transport.errors import S3Error

_MIN_PART_BYTES = 5 * 1024 * 1024
_BYTES = "application/octet-stream"
# The administration's error is not one of the client's, and either may stumble over what is no S3 server.
_ERRORS = (
    minio.error.MinioException, minio.error.MinioAdminException, urllib3.exceptions.HTTPError,
    ParseError, OSError, ValueError,
)  # fmt: skip


@contextmanager
def _raising_s3_error() -> Iterator[None]:
    try:
        yield
    except minio.error.S3Error as error:
        raise S3Error(str(error.code)) from error
    except _ERRORS as error:
        raise S3Error(type(error).__name__) from error


class S3Client:
    """One bucket of an S3-compatible server. Blocks. All methods that send a request raise S3Error.

    The region is explicit: asking the server for it would cost a request, and rclone cannot answer.
    endpoint: `http(s)://host[:port]`. Timeouts are short, and retries few.
    """

    def __init__(self, endpoint: str, access_key: str, secret_key: str, region: str, *, bucket: str) -> None:
        parts = _parsed(endpoint)
        self._bucket = bucket
        self._minio = Minio(
            parts.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=parts.scheme == "https",
            region=region,
            http_client=_pool(),
        )

    @_raising_s3_error()
    def bucket_exists(self) -> bool:
        return self._minio.bucket_exists(self._bucket)

    @_raising_s3_error()
    def make_bucket(self) -> None:
        self._minio.make_bucket(self._bucket)

    @_raising_s3_error()
    def put(self, key: str, file: BinaryIO, size_bytes: int, content_type: str = _BYTES) -> None:
        """Send one PUT, never parts, so that the object is whole or not there."""
        self._minio.put_object(
            self._bucket,
            key,
            file,
            size_bytes,
            content_type=content_type,
            part_size=max(size_bytes, _MIN_PART_BYTES),
        )

    @_raising_s3_error()
    def size_bytes(self, key: str) -> int | None:
        return self._minio.stat_object(self._bucket, key).size

    @_raising_s3_error()
    def download(self, key: str, path: Path) -> None:
        self._minio.fget_object(self._bucket, key, str(path))

    @_raising_s3_error()
    def delete(self, key: str) -> None:
        """Delete an object, or do nothing if there is none."""
        self._minio.remove_object(self._bucket, key)

    def signed_url(self, key: str, *, method: str, lifetime: timedelta) -> str:
        """Sign an address, without a request."""
        return self._minio.get_presigned_url(method, self._bucket, key, expires=lifetime)


class S3Admin:
    """MinIO's own administration, on the same port. Blocks. All methods raise S3Error."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, region: str) -> None:
        parts = _parsed(endpoint)
        self._admin = MinioAdmin(
            endpoint=parts.netloc,
            credentials=StaticProvider(access_key, secret_key),
            secure=parts.scheme == "https",
            region=region,
            http_client=_pool(),
        )

    @_raising_s3_error()
    def put_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        self._admin.policy_add(name, policy=dict(policy))

    @_raising_s3_error()
    def put_account(self, access_key: str, secret_key: str) -> None:
        """Make an account, or give it this secret."""
        self._admin.user_add(access_key, secret_key)

    @_raising_s3_error()
    def set_policy(self, name: str, access_key: str) -> None:
        """Give an account this policy, in place of what it had."""
        self._admin.policy_set(name, user=access_key)


def _parsed(endpoint: str) -> SplitResult:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise ValueError("an S3 endpoint is http(s)://host[:port]")
    return parts


def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=3, read=20),
        maxsize=16,
        retries=urllib3.Retry(total=1, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
    )
