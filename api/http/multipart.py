"""The file in a multipart body, on disk and never whole in memory."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from domain.errors import InvalidInput, UnsupportedMediaType

_MAX_FIELDS = 10
_REQUIRED = (("file", "one image, as a file of multipart/form-data"),)


@asynccontextmanager
async def uploaded_file(request: Request) -> AsyncIterator[Path]:
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
            await asyncio.to_thread(shutil.copyfileobj, part.file, file)
        finally:
            # Before the image is looked at, so that it does not lie on the disk once more meanwhile.
            await form.close()
        file.flush()
        yield Path(file.name)


async def _form(request: Request) -> FormData:
    try:
        return await request.form(max_files=1, max_fields=_MAX_FIELDS)
    except (UnicodeError, LookupError) as error:
        # Names are decoded as the client's `charset` says, and Python knows some that only ever raise.
        raise InvalidInput(errors=_REQUIRED) from error
