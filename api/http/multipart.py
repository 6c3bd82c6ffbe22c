"""The file in a multipart body, on disk and never whole in memory."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from domain.errors import InvalidInput, UnsupportedMediaType

_MAX_FIELDS, _MAX_IMAGE_FIELDS = 10, 50
_CHUNK_BYTES = 1_000_000
_REQUIRED = (("file", "one file, of multipart/form-data"),)


@dataclass(frozen=True)
class UploadedFile:
    """A file, and what its client says that it is for."""

    path: Path
    purpose: str | None


@asynccontextmanager
async def uploaded_file(request: Request) -> AsyncIterator[UploadedFile]:
    """Open the field `file`; its name and type are ignored. Raises InvalidInput, UnsupportedMediaType."""
    # Any other form would be read into memory.
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType("the body must be multipart/form-data")
    with tempfile.NamedTemporaryFile(prefix="darkroom-") as file:
        form = await _form(request)
        try:
            part = form.get("file")
            if not isinstance(part, UploadFile):
                raise InvalidInput(errors=_REQUIRED)
            purposes = form.getlist("purpose")
            if len(purposes) > 1 or not all(isinstance(purpose, str) for purpose in purposes):
                raise InvalidInput(errors=(("purpose", "one text"),))
            await asyncio.to_thread(shutil.copyfileobj, part.file, file)
        finally:
            # Before the image is looked at, so that it does not lie on the disk once more meanwhile.
            await form.close()
        file.flush()
        yield UploadedFile(Path(file.name), str(purposes[0]) if purposes else None)


@dataclass(frozen=True)
class ImageForm:
    """A form with images. files: in order, the field of each, its name as an upload, and where it is."""

    fields: Mapping[str, str]
    files: Sequence[tuple[str, str, Path]]


@asynccontextmanager
async def uploaded_images(request: Request, max_files: int) -> AsyncIterator[ImageForm]:
    """Open a form with images; each is named `upload:` and the hash of its bytes. Raises InvalidInput."""
    form = await _form(request, max_files=max_files, max_fields=_MAX_IMAGE_FIELDS)
    async with AsyncExitStack() as stack:
        try:
            fields: dict[str, str] = {}
            files = []
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    file = stack.enter_context(_temporary_file())
                    digest = await asyncio.to_thread(_copy, value.file, file)
                    files.append((name, f"upload:{digest}", Path(file.name)))
                elif name in fields:
                    raise InvalidInput(errors=(("body", "no field twice"),))
                else:
                    fields[name] = value
        finally:
            await form.close()
        yield ImageForm(fields, files)


@contextmanager
def _temporary_file() -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile(prefix="darkroom-") as file:
        yield file


def _copy(source: BinaryIO, target: IO[bytes]) -> str:
    """Copy a file; return the SHA-256 of its bytes."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    target.flush()
    return digest.hexdigest()


async def _form(request: Request, *, max_files: int = 1, max_fields: int = _MAX_FIELDS) -> FormData:
    try:
        return await request.form(max_files=max_files, max_fields=max_fields)
    except (UnicodeError, LookupError) as error:
        # Names are decoded as the client's `charset` says, and Python knows some that only ever raise.
        raise InvalidInput(errors=_REQUIRED) from error
