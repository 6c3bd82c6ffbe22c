"""Request bodies, also with the client's images: read from disk while they are sent, never held in memory."""

import base64
import json
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.provider import LocalInputFile

# Divisible by 3, so that the base64 of the chunks is the base64 of the whole.
_CHUNK_BYTES = 96 * 1024


@dataclass(frozen=True)
class FilePart:
    """A file inside a body. as_base64: written as text."""

    path: Path
    as_base64: bool = False

    def length(self) -> int:
        size = self.path.stat().st_size
        return (size + 2) // 3 * 4 if self.as_base64 else size

    def chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield base64.b64encode(chunk) if self.as_base64 else chunk


class StreamedBody:
    """A body in pieces. A file is open only while it is sent, not while we wait for the response."""

    def __init__(self, content_type: str, pieces: Sequence[bytes | FilePart]) -> None:
        self._pieces = pieces
        self.headers = {"Content-Type": content_type, "Content-Length": str(sum(map(_length, pieces)))}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            for chunk in [piece] if isinstance(piece, bytes) else piece.chunks():
                yield chunk


def parameters_named(names: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with these names, for a provider that has the same names for them."""
    return {name: parameters[name] for name in names if parameters.get(name) is not None}


def image_placeholders(images: Iterable[LocalInputFile]) -> dict[str, LocalInputFile]:
    """Return a random name for each image, in order, that stands for it in a body and is in no prompt."""
    return {f"image-{secrets.token_hex(16)}": image for image in images}


def data_uri(image: LocalInputFile, content: str) -> str:
    """Return a data URI. content: the image in base64, or its placeholder."""
    return f"data:{image.content_type};base64,{content}"


def json_body(body: Mapping[str, Any], images: Mapping[str, LocalInputFile]) -> StreamedBody:
    """Return `body` as JSON with every placeholder in `images` replaced by that image's base64.

    A placeholder may be a part of a string, as in a data URI. Placeholders are in the order of `images`.
    """
    rest = json.dumps(body)
    pieces: list[bytes | FilePart] = []
    for placeholder, image in images.items():
        before, _, rest = rest.partition(placeholder)
        pieces += [before.encode(), FilePart(image.path, as_base64=True)]
    return StreamedBody("application/json", [*pieces, rest.encode()])


def form_body(fields: Mapping[str, Any], files: Sequence[tuple[str, LocalInputFile]]) -> StreamedBody:
    """Return a multipart form. files: each with the name of its field."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes | FilePart] = []
    for name, value in fields.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        pieces.append(f"{_part(boundary, name)}\r\n\r\n{text}\r\n".encode(errors="replace"))
    for number, (name, image) in enumerate(files):
        filename = f"{number}.{image.content_type.removeprefix('image/')}"
        start = (
            f'{_part(boundary, name)}; filename="{filename}"\r\nContent-Type: {image.content_type}\r\n\r\n'
        )
        pieces += [start.encode(), FilePart(image.path), b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return StreamedBody(f"multipart/form-data; boundary={boundary}", pieces)


def _part(boundary: str, name: str) -> str:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'


def _length(piece: bytes | FilePart) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length()
