"""Object storage on any S3-compatible server."""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from adapters.transport.errors import S3Error
from adapters.transport.s3 import S3Client
from domain.errors import StorageUnavailable
from domain.input_files import ImageFacts

_DENIED = "AccessDenied"
_MISSING = ("NoSuchKey", "NoSuchObject")
_MADE_MEANWHILE = "BucketAlreadyOwnedByYou"
# An object that is looked at by a key that may not look at the bucket itself.
_MARKER = "darkroom-bucket"
T = TypeVar("T")


class S3Store:
    """Puts, checks, fetches, deletes and signs. The blocking client runs on a bounded pool of threads.

    The key needs the rights to get, put and delete objects, and none on the bucket: nothing is listed.
    signer: signs for the address that clients use.
    """

    def __init__(self, client: S3Client, signer: S3Client, executor: Executor) -> None:
        self._client = client
        self._signer = signer
        self._executor = executor

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
            await self._call(lambda: self._client.download(key, path))
            yield path

    async def delete_objects(self, keys: Sequence[str]) -> int:
        return await self._call(lambda: sum(self._delete(key) for key in keys))

    async def signed_url(self, key: str, *, method: str, lifetime: timedelta) -> str:
        # Signing sends no request, so it needs no thread.
        return self._signer.signed_url(key, method=method, lifetime=lifetime)

    def _put(self, key: str, path: Path, facts: ImageFacts) -> None:
        """Send one PUT, so the object is whole or not there; then check it, as a 200 proves nothing."""
        with path.open("rb") as file:
            self._client.put(key, file, facts.size_bytes, facts.content_type)
        found = self._client.size_bytes(key)
        if found != facts.size_bytes:
            raise StorageUnavailable(f"stored {facts.size_bytes} bytes, found {found}")

    def _delete(self, key: str) -> bool:
        try:
            self._client.size_bytes(key)
            existed = True
        except S3Error as error:
            # Without the right to list, an object that is missing is denied.
            if error.code not in (*_MISSING, _DENIED):
                raise
            existed = False
        self._client.delete(key)
        return existed

    def _ensure_bucket(self) -> None:
        try:
            if not self._client.bucket_exists():
                self._client.make_bucket()
        except S3Error as error:
            if error.code == _MADE_MEANWHILE:
                return
            if error.code != _DENIED:
                raise
            self._client.put(_MARKER, io.BytesIO(), 0)

    def _bucket_exists(self) -> bool:
        try:
            return self._client.bucket_exists()
        except S3Error as error:
            if error.code != _DENIED:
                raise
            self._client.size_bytes(_MARKER)
            return True

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except S3Error as error:
            raise StorageUnavailable(f"s3: {error.code}") from error
        except OSError as error:  # of our own file
            raise StorageUnavailable(f"s3: {type(error).__name__}") from error
