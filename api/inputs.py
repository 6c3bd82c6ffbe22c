"""Clients' images on their way in: uploads, URLs and data URIs become stored files of the tenant."""

import asyncio
import base64
import binascii
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from uuid import uuid4

from api.turns import Turns
from domain.errors import (
    FileNotFound,
    InvalidInput,
    ResultExpired,
    ResultUnavailable,
    ResultUnusable,
    TransientError,
)
from domain.input_files import InputFile
from domain.ports import Downloader, ImageInspector, InputFiles, ObjectStore

_AT_ONCE = 4
_REQUESTS_AT_ONCE, _TURN_WITHIN_SECONDS = 4, 30.0
_LONGEST_URL = 4096
_FILE_ID = re.compile(r"file_[0-9a-z]{1,64}")
_DATA_URI = re.compile(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/]+={0,2})")
_FORMS = "a file id, an https URL, or a data URI with base64 of a PNG, JPEG or WebP image"
_GONE = "no such file: it is unknown or has expired"


class _Unfit(Exception):
    """An image that cannot be had; its text is for the client."""


class InputImages:
    """Looks at each image whole before it is kept, and believes nothing that is said about it.

    hosts: where URLs may point, as `adapters/storage/address_guard.py` reads them. fetch_seconds: for all the URLs of
    one request together.
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
        self._turns = Turns(_REQUESTS_AT_ONCE, _TURN_WITHIN_SECONDS)

    def turn(self, tenant_id: str) -> AbstractAsyncContextManager[None]:
        """What a tenant may do a few times at once: bring images in. Held around the reading of an upload."""
        return self._turns.of(tenant_id)

    async def upload(self, tenant_id: str, path: Path) -> InputFile:
        """Keep an image. Raises InvalidInput, StorageUnavailable."""
        try:
            return await self._keep(tenant_id, path)
        except _Unfit as error:
            raise InvalidInput(errors=(("file", str(error)),)) from error

    async def gather(
        self, tenant_id: str, inputs: Sequence[str], mask: str | None
    ) -> tuple[tuple[InputFile, ...], InputFile | None]:
        """The images of a request as stored files, in order, and its mask; a few at a time.

        Raises InvalidInput naming each that cannot be had, StorageUnavailable.
        """
        sources = {f"inputs.{index}": source for index, source in enumerate(inputs)}
        if mask is not None:
            sources["mask"] = mask
        async with AsyncExitStack() as stack:
            if not all(_FILE_ID.fullmatch(source) for source in sources.values()):
                await stack.enter_async_context(self.turn(tenant_id))
            brought = await self._brought(tenant_id, sources)
        for found in brought.values():
            if isinstance(found, TransientError):
                raise found
        unfit = [(name, str(found)) for name, found in brought.items() if isinstance(found, _Unfit)]
        if unfit:
            raise InvalidInput(errors=tuple(unfit))
        files = {name: found for name, found in brought.items() if isinstance(found, InputFile)}
        masked = files.pop("mask", None)
        return tuple(files.values()), masked

    async def _brought(
        self, tenant_id: str, sources: Mapping[str, str]
    ) -> dict[str, InputFile | _Unfit | TransientError]:
        slots, deadline = asyncio.Semaphore(_AT_ONCE), asyncio.get_running_loop().time() + self._fetch_seconds
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(self._bring(tenant_id, source, slots, deadline))
                for name, source in sources.items()
            }
        return {name: task.result() for name, task in tasks.items()}

    async def _bring(
        self, tenant_id: str, source: str, slots: asyncio.Semaphore, deadline: float
    ) -> InputFile | _Unfit | TransientError:
        """Never raises what one image alone is the reason of: the others are looked at all the same."""
        try:
            async with slots:
                file_id = await self._file_id(tenant_id, source, deadline)
                [file] = await self._files.use(tenant_id, [file_id])
        except FileNotFound:
            return _Unfit(_GONE)
        except (_Unfit, TransientError) as error:
            return error
        return file

    async def _file_id(self, tenant_id: str, source: str, deadline: float) -> str:
        if _FILE_ID.fullmatch(source):
            return source
        if source.startswith("data:"):
            return (await self._decoded(tenant_id, source)).id
        if "://" in source and len(source) <= _LONGEST_URL:
            return (await self._fetched(tenant_id, source, deadline)).id
        raise _Unfit(_FORMS)

    async def _decoded(self, tenant_id: str, source: str) -> InputFile:
        with tempfile.NamedTemporaryFile(prefix="darkroom-") as file:
            path = Path(file.name)
            await asyncio.to_thread(_decode, source, path)
            return await self._keep(tenant_id, path)

    async def _fetched(self, tenant_id: str, url: str, deadline: float) -> InputFile:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(deadline):
                    path = await stack.enter_async_context(self._downloader.fetch(url, self._hosts))
            except (TimeoutError, ResultExpired, ResultUnusable, ResultUnavailable) as error:
                # One answer for every failure: it must not tell what there is inside our network.
                raise _Unfit(
                    f"could not be fetched: an https address of a public host, "
                    f"at most {self._largest_bytes} bytes, within {self._fetch_seconds:g} s"
                ) from error
            return await self._keep(tenant_id, path)

    async def _keep(self, tenant_id: str, path: Path) -> InputFile:
        try:
            facts = await self._inspector.inspect(path)
        except ResultUnusable as error:
            raise _Unfit("a whole PNG, JPEG or WebP image, not larger than we decode") from error
        if facts.size_bytes > self._largest_bytes:
            raise _Unfit(f"at most {self._largest_bytes} bytes")
        file_id = f"file_{uuid4().hex}"
        # Recorded before it is stored, so that whatever happens its time will come.
        file = await self._files.add(tenant_id, file_id, f"{tenant_id}/files/{file_id}", facts)
        await self._store.put(file.key, path, facts)
        return file


def _decode(source: str, path: Path) -> None:
    """Write what a data URI holds."""
    matched = _DATA_URI.fullmatch(source)
    if matched is None:
        raise _Unfit(_FORMS)
    try:
        path.write_bytes(base64.b64decode(matched[1], validate=True))
    except binascii.Error as error:
        raise _Unfit(_FORMS) from error
