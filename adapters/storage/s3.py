"""Object storage: any S3-compatible server, through the `minio` client."""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.error import MinioException, S3Error
from minio.minioadmin import MinioAdmin

from domain.errors import StorageUnavailable
from domain.input_files import ImageFacts

_MIN_PART_BYTES = 5 * 1024 * 1024
_DENIED = "AccessDenied"
_MISSING = ("NoSuchKey", "NoSuchObject")
_MADE_MEANWHILE = "BucketAlreadyOwnedByYou"
# An object that is looked at by a key that may not look at the bucket itself.
_MARKER = "darkroom-bucket"
T = TypeVar("T")


class S3Store:
    """Puts, checks, fetches, deletes and signs. The blocking client runs on a bounded pool of threads.

    The region is explicit: asking the server for it would cost a request, and rclone cannot answer. The
    key needs the rights to get, put and delete objects, and none on the bucket: nothing is listed.
    """

    def __init__(self, client: Minio, signer: Minio, executor: Executor, *, bucket: str) -> None:
        self._client = client
        self._signer = signer
        self._executor = executor
        self._bucket = bucket

    async def ensure_bucket(self) -> None:
        """Make the bucket unless it is there."""
        await self._call(self._ensure_bucket)

    async def bucket_exists(self) -> bool:
        return await self._call(self._bucket_exists)

    async def put_object(self, key: str, path: Path, facts: ImageFacts) -> None:
        await self._call(lambda: self._put(key, path, facts))

    @asynccontextmanager
    async def open_object(self, key: str) -> AsyncIterator[Path]:
        # A caller that gives up leaves a thread behind that may still be writing into the folder.
        try:
            folder = tempfile.TemporaryDirectory(prefix="darkroom-", ignore_cleanup_errors=True)
        except OSError as error:
            raise StorageUnavailable(f"no folder for an object: {error}") from error
        with folder as name:
            path = Path(name) / "object"
            await self._call(lambda: self._client.fget_object(self._bucket, key, str(path)))
            yield path

    async def delete_objects(self, keys: Sequence[str]) -> int:
        return await self._call(lambda: sum(self._delete(key) for key in keys))

    async def signed_url(self, key: str, *, method: str, lifetime: timedelta) -> str:
        # Signing sends no request, so it needs no thread.
        return self._signer.get_presigned_url(method, self._bucket, key, expires=lifetime)

    def _put(self, key: str, path: Path, facts: ImageFacts) -> None:
        """Send one PUT, so the object is whole or not there; then check it, as a 200 proves nothing."""
        with path.open("rb") as file:
            self._client.put_object(
                self._bucket,
                key,
                file,
                facts.size_bytes,
                content_type=facts.content_type,
                part_size=max(facts.size_bytes, _MIN_PART_BYTES),
            )
        found = self._client.stat_object(self._bucket, key)
        if found.size != facts.size_bytes:
            raise StorageUnavailable(f"stored {facts.size_bytes} bytes, found {found.size}")

    def _delete(self, key: str) -> bool:
        try:
            self._client.stat_object(self._bucket, key)
            existed = True
        except S3Error as error:
            # Without the right to list, an object that is missing is denied.
            if error.code not in (*_MISSING, _DENIED):
                raise
            existed = False
        self._client.remove_object(self._bucket, key)
        return existed

    def _ensure_bucket(self) -> None:
        try:
            if not self._client.bucket_exists(self._bucket):
                self._client.make_bucket(self._bucket)
        except S3Error as error:
            if error.code == _MADE_MEANWHILE:
                return
            if error.code != _DENIED:
                raise
            self._client.put_object(self._bucket, _MARKER, io.BytesIO(), 0)

    def _bucket_exists(self) -> bool:
        try:
            return self._client.bucket_exists(self._bucket)
        except S3Error as error:
            if error.code != _DENIED:
                raise
            self._client.stat_object(self._bucket, _MARKER)
            return True

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except S3Error as error:
            raise StorageUnavailable(f"s3: {error.code}") from error
        except (MinioException, urllib3.exceptions.HTTPError, ParseError, OSError, ValueError) as error:
            raise StorageUnavailable(f"s3: {type(error).__name__}") from error


def s3_client(endpoint: str, access_key: str, secret_key: str, region: str) -> Minio:
    """Return a client for `http(s)://host[:port]`, with short timeouts and few retries of its own."""
    parts = _endpoint(endpoint)
    return Minio(
        parts.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=parts.scheme == "https",
        region=region,
        http_client=_pool(),
    )


def s3_admin(endpoint: str, access_key: str, secret_key: str, region: str) -> MinioAdmin:
    """Return a client for MinIO's own administration, on the same port, with the same timeouts."""
    parts = _endpoint(endpoint)
    return MinioAdmin(
        endpoint=parts.netloc,
        credentials=StaticProvider(access_key, secret_key),
        secure=parts.scheme == "https",
        region=region,
        http_client=_pool(),
    )


def _endpoint(endpoint: str) -> SplitResult:
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
