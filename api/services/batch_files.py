"""Files of batches: JSON Lines, stored as they are. What the lines say is checked with their batch."""

import asyncio
import codecs
import hashlib
from pathlib import Path
from uuid import uuid4

from domain.batches import FILE_CONTENT_TYPE, MAX_FILE_ITEMS
from domain.errors import InvalidInput
from domain.input_files import FilePurpose, ImageFacts, InputFile
from domain.ports import InputFiles, ObjectStore

_CHUNK_BYTES = 256 * 1024
_BYTE_ORDER_MARK = "\ufeff"


class BatchFileService:
    """Looks at each file once, on a thread, and never holds it in memory."""

    def __init__(self, files: InputFiles, store: ObjectStore, *, max_bytes: int) -> None:
        self._files = files
        self._store = store
        self.max_bytes = max_bytes

    async def store_lines(self, tenant_id: str, path: Path) -> InputFile:
        """Store the lines of a batch. Raises InvalidInput, StorageUnavailable."""
        facts = await asyncio.to_thread(_facts_of, path, self.max_bytes)
        file_id = f"file_{uuid4().hex}"
        # Recorded before it is stored, so that it expires whatever happens.
        key = f"{tenant_id}/files/{file_id}"
        file = await self._files.add_file(tenant_id, file_id, key, facts, FilePurpose.BATCH)
        await self._store.put_object(file.key, path, facts)
        return file


def _facts_of(path: Path, max_bytes: int) -> ImageFacts:
    """Raises InvalidInput."""
    decoder, digest = codecs.getincrementaldecoder("utf-8")(), hashlib.sha256()
    size_bytes = line_ends = 0
    first, last = "", "\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            line_ends += chunk.count(b"\n")
            digest.update(chunk)
            text = _decoded(decoder, chunk)
            first = first or text.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
            last = text[-1:] or last
            _require(size_bytes <= max_bytes, f"at most {max_bytes} bytes")
            _require(line_ends <= MAX_FILE_ITEMS, f"at most {MAX_FILE_ITEMS} lines")
    _decoded(decoder, b"", final=True)
    lines = line_ends + (last != "\n")
    _require(lines <= MAX_FILE_ITEMS, f"at most {MAX_FILE_ITEMS} lines")
    _require(first == "{", f"JSON Lines: 1 to {MAX_FILE_ITEMS} lines, each a JSON object")
    return ImageFacts(0, 0, FILE_CONTENT_TYPE, size_bytes, digest.hexdigest())


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> str:
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        raise InvalidInput(errors=(("file", "text in UTF-8"),)) from error


def _require(is_good: bool, limit: str) -> None:
    if not is_good:
        raise InvalidInput(errors=(("file", limit),))
