"""One image on its way into storage: checked, made upright where that is wanted, freed of metadata."""

import hashlib
import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.images.child.containers import Buffer
from adapters.images.child.decoding import Decoded, decode
from adapters.images.child.files import open_target
from adapters.images.child.headers import check_header
from adapters.images.child.metadata import without_metadata
from adapters.images.child.normalizer import normalize
from adapters.images.messages import DecodeReply
from domain.errors import ResultUnusable
from domain.input_files import ImageFacts


def prepare(
    source: Path,
    target: Path,
    *,
    max_pixels: int,
    memory_bytes: int,
    is_upright_wanted: bool,
    is_stripped: bool,
) -> DecodeReply:
    """Return what is to be stored, in the target if it differs from the source.

    Raises ResultUnusable, OSError for an outage.
    """
    with _mapped(source) as content:
        check_header(content, max_pixels=max_pixels, memory_bytes=memory_bytes)
        source_sha256 = _digest([content])
        decoded = decode(source, max_pixels)
        size, sha256 = len(content), source_sha256
        if is_upright_wanted and normalize(source, target):
            decoded = decode(target, max_pixels)
            found = target.read_bytes()
            size, sha256 = len(found), _digest([found])
            pieces = without_metadata(memoryview(found), decoded.orientation) if is_stripped else None
        else:
            pieces = without_metadata(content, decoded.orientation) if is_stripped else None
        if pieces is not None and (stripped := _digest(pieces)) != sha256:
            _write(target, pieces)
            size, sha256 = sum(len(piece) for piece in pieces), stripped
    facts = _facts(decoded, size, sha256)
    return DecodeReply(facts=facts, source_sha256=source_sha256, is_rewritten=sha256 != source_sha256)


def _facts(decoded: Decoded, size_bytes: int, sha256: str) -> ImageFacts:
    return ImageFacts(
        decoded.width, decoded.height, decoded.content_type, size_bytes, sha256, decoded.has_alpha
    )


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    """Open a file's bytes without reading them into memory. Raises ResultUnusable for an empty one."""
    with path.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise ResultUnusable("an empty file") from error
        # Not closed here: pieces of it may still be in use. It goes with the last of them.
        yield memoryview(mapped)


def _digest(pieces: Iterable[Buffer]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _write(target: Path, pieces: Iterable[Buffer]) -> None:
    with open_target(target) as file:
        for piece in pieces:
            file.write(piece)
