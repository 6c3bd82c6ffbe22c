"""Input files: uploads, URLs and data URIs become stored files of the tenant."""

import asyncio
import base64
import binascii
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from api.services.tenant_limits import TenantConcurrencyLimiter
from domain.errors import (
    FileNotFound,
    InvalidInput,
    ResultExpired,
    ResultUnavailable,
    ResultUnusable,
    StorageUnavailable,
    TransientError,
)
from domain.input_files import FILE_ID, FilePurpose, InputFile
from domain.ports import Downloader, ImageInspector, InputFiles, ObjectStore

_MAX_CONCURRENT = 4
_MAX_REQUESTS_PER_TENANT, _MAX_WAIT_SECONDS = 4, 30.0
_MAX_URL_CHARACTERS = 4096
_DATA_URI = re.compile(r"data:(?i:image/(?:png|jpe?g|webp);base64),([A-Za-z0-9+/]+={0,2})")
_FORMS = "a file id, an https URL, or a data URI with base64 of a PNG, JPEG or WebP image"
_EXPIRED = "no such image: the file is unknown, has expired, or is no image"

_NO_UPLOADS: Mapping[str, Path] = MappingProxyType({})


class _UnusableInput(Exception):
    """An image that cannot be used; its text is for the client."""


class InputFileService:
    """Decodes each image whole before it is stored, and trusts nothing that is said about it.

    hosts: where URLs may point, as `adapters/storage/address_guard.py` reads them. fetch_seconds: for all
    the URLs of one request together.
    """

    def __init__(
        self,
        files: InputFiles,
        store: ObjectStore,
        inspector: ImageInspector,
        downloader: Downloader,
        *,
        hosts: Sequence[str],
        max_bytes: int,
        fetch_seconds: float,
    ) -> None:
        self._files = files
        self._store = store
        self._inspector = inspector
        self._downloader = downloader
        self._hosts = hosts
        self._largest_bytes = max_bytes
        self._fetch_seconds = fetch_seconds
        self._limiter = TenantConcurrencyLimiter(_MAX_REQUESTS_PER_TENANT, _MAX_WAIT_SECONDS)

    @property
    def max_bytes(self) -> int:
        return self._largest_bytes

    def limit(self, tenant_id: str) -> AbstractAsyncContextManager[None]:
        """Limit how many requests of a tenant bring images in at once. Held while an upload is read."""
        return self._limiter.limit(tenant_id)

    async def store_upload(self, tenant_id: str, path: Path) -> InputFile:
        """Store an image. Raises InvalidInput, StorageUnavailable."""
        try:
            return await self._store_file(tenant_id, path)
        except _UnusableInput as error:
            raise InvalidInput(errors=(("file", str(error)),)) from error

    async def resolve(
        self,
        tenant_id: str,
        inputs: Sequence[str],
        mask: str | None,
        uploads: Mapping[str, Path] = _NO_UPLOADS,
    ) -> tuple[tuple[InputFile, ...], InputFile | None]:
        """Return the images of a request as stored files, in order, and its mask.

        uploads: files that some of them name.
        Raises InvalidInput naming each that cannot be used, StorageUnavailable.
        """
        sources = {f"inputs.{index}": source for index, source in enumerate(inputs)}
        if mask is not None:
            sources["mask"] = mask
        async with AsyncExitStack() as stack:
            if not all(FILE_ID.fullmatch(source) for source in sources.values()):
                await stack.enter_async_context(self.limit(tenant_id))
            resolved = await self._resolve_all(tenant_id, sources, uploads)
        for found in resolved.values():
            if isinstance(found, TransientError):
                raise found
        unusable = [
            (name, str(found)) for name, found in resolved.items() if isinstance(found, _UnusableInput)
        ]
        if unusable:
            raise InvalidInput(errors=tuple(unusable))
        files = {name: found for name, found in resolved.items() if isinstance(found, InputFile)}
        masked = files.pop("mask", None)
        return tuple(files.values()), masked

    async def look_up(self, tenant_id: str, sources: Sequence[str]) -> Sequence[InputFile | str | None]:
        """Return, for each image of a request, its stored file, or what is wrong with it; fetches nothing.

        None for an image that is not stored yet, of which nothing is known.
        """
        return [await self._look_up_one(tenant_id, source) for source in sources]

    async def _look_up_one(self, tenant_id: str, source: str) -> InputFile | str | None:
        if FILE_ID.fullmatch(source):
            try:
                file = await self._files.get_file_of(tenant_id, source)
            except FileNotFound:
                return _EXPIRED
            return file if file.purpose is FilePurpose.IMAGE else _EXPIRED
        is_data, is_url = source.startswith("data:"), "://" in source and len(source) <= _MAX_URL_CHARACTERS
        return None if is_data or is_url else _FORMS

    async def _resolve_all(
        self, tenant_id: str, sources: Mapping[str, str], uploads: Mapping[str, Path]
    ) -> dict[str, InputFile | _UnusableInput | TransientError]:
        semaphore, deadline = (
            asyncio.Semaphore(_MAX_CONCURRENT),
            asyncio.get_running_loop().time() + self._fetch_seconds,
        )
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(
                    self._resolve_one(tenant_id, uploads.get(source, source), semaphore, deadline)
                )
                for name, source in sources.items()
            }
        return {name: task.result() for name, task in tasks.items()}

    async def _resolve_one(
        self, tenant_id: str, source: str | Path, semaphore: asyncio.Semaphore, deadline: float
    ) -> InputFile | _UnusableInput | TransientError:
        """Return the failure of one image instead of raising it, so that the others are checked too."""
        try:
            async with semaphore:
                file_id = (
                    (await self._store_file(tenant_id, source)).id
                    if isinstance(source, Path)
                    else await self._file_id(tenant_id, source, deadline)
                )
                [file] = await self._files.use_files(tenant_id, [file_id])
        except FileNotFound:
            return _UnusableInput(_EXPIRED)
        except (_UnusableInput, TransientError) as error:
            return error
        except OSError as error:  # the disk of temporary files
            return StorageUnavailable(str(error))
        return file

    async def _file_id(self, tenant_id: str, source: str, deadline: float) -> str:
        if FILE_ID.fullmatch(source):
            return source
        if source.startswith("data:"):
            return (await self._store_data_uri(tenant_id, source)).id
        if "://" in source and len(source) <= _MAX_URL_CHARACTERS:
            return (await self._store_url(tenant_id, source, deadline)).id
        raise _UnusableInput(_FORMS)

    async def _store_data_uri(self, tenant_id: str, source: str) -> InputFile:
        with tempfile.NamedTemporaryFile(prefix="darkroom-") as file:
            path = Path(file.name)
            await asyncio.to_thread(_decode, source, path)
            return await self._store_file(tenant_id, path)

    async def _store_url(self, tenant_id: str, url: str, deadline: float) -> InputFile:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(deadline):
                    path = await stack.enter_async_context(
                        self._downloader.download(url, self._hosts, tenant_id=tenant_id)
                    )
            except (TimeoutError, ResultExpired, ResultUnusable, ResultUnavailable) as error:
                # The same error for every failure, so that it reveals nothing of our network.
                raise _UnusableInput(
                    f"could not be fetched: an https address of a public host, "
                    f"at most {self._largest_bytes} bytes, within {self._fetch_seconds:g} s"
                ) from error
            return await self._store_file(tenant_id, path)

    async def _store_file(self, tenant_id: str, path: Path) -> InputFile:
        async with AsyncExitStack() as stack:
            prepared = self._inspector.prepare_image(path, tenant_id, is_upright_wanted=True)
            try:
                image = await stack.enter_async_context(prepared)
            except ResultUnusable as error:
                raise _UnusableInput("a whole PNG, JPEG or WebP image, not larger than we decode") from error
            source = await asyncio.to_thread(path.stat)
            if max(source.st_size, image.facts.size_bytes) > self._largest_bytes:
                raise _UnusableInput(f"at most {self._largest_bytes} bytes")
            file_id = f"file_{uuid4().hex}"
            # Recorded before it is stored, so that it expires whatever happens.
            file = await self._files.add_file(tenant_id, file_id, f"{tenant_id}/files/{file_id}", image.facts)
            await self._store.put_object(file.key, image.path, image.facts)
            return file


def _decode(source: str, path: Path) -> None:
    """Write the bytes of a data URI to a file."""
    matched = _DATA_URI.fullmatch(source)
    if matched is None:
        raise _UnusableInput(_FORMS)
    try:
        path.write_bytes(base64.b64decode(matched[1], validate=True))
    except binascii.Error as error:
        raise _UnusableInput(_FORMS) from error
