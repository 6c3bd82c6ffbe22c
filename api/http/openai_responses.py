"""Images as OpenAI sends them: JSON or events, read from the object store as they are sent."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.client import client_of
from api.services.openai_images import AwaitedJob
from domain.generation import Generation, Image
from domain.partial_images import PartialImage

# A multiple of 3, so that the pieces of base64 make one whole.
_PIECE_BYTES = 3 * 64 * 1024
_SPLIT = "\0"

Opener = Callable[[Image], AbstractAsyncContextManager[Path]]
# Text as it is, and images as base64.
Parts = Sequence[str | Image]


class Body(Protocol):
    """What is sent. length: None if it is not known before."""

    @property
    def length(self) -> int | None: ...

    def chunks(self) -> AsyncGenerator[bytes, None]: ...


@dataclass(frozen=True)
class ImagesBody:
    """A body with images in it. Its length is known before any of them is read."""

    parts: Parts
    open_image: Opener

    @property
    def length(self) -> int:
        return sum(
            len(part.encode()) if isinstance(part, str) else 4 * ((part.size_bytes + 2) // 3)
            for part in self.parts
        )

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body. Raises what opening an image does."""
        for part in self.parts:
            if isinstance(part, str):
                yield part.encode()
                continue
            async with self.open_image(part) as path:
                async for piece in base64_pieces(path):
                    yield piece


async def base64_pieces(path: Path) -> AsyncGenerator[bytes, None]:
    """Yield a file as base64."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield base64.b64encode(piece)


class JobResponse(Response):
    """The answer to a request that waited for a job, which is told once the answer was sent whole."""

    def __init__(self, body: Body, job: AwaitedJob, *, media_type: str, status_code: int = 200) -> None:
        super().__init__(status_code=status_code, media_type=media_type)
        del self.headers["content-length"]
        if body.length is not None:
            self.headers["content-length"] = str(body.length)
        self._body = body
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client, is_started = client_of(scope), False
        try:
            async with aclosing(self._body.chunks()) as chunks:
                async for chunk in chunks:
                    if client.is_gone:
                        return
                    if not is_started:
                        start = {"status": self.status_code, "headers": self.raw_headers}
                        await send({"type": "http.response.start", **start})
                        is_started = True
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            self._job.mark_sent()
        finally:
            self._job.end()


def images_json(generation: Generation, urls: Sequence[str] | None) -> Parts:
    """Return the parts of a response. urls: of the images, where they are not sent themselves."""
    images = generation.images
    data = [{"b64_json": _SPLIT}] * len(images) if urls is None else [{"url": url} for url in urls]
    created = generation.finished_at or generation.created_at
    content = {"created": int(created.timestamp())} | _properties(generation, images[0]) | {"data": data}
    return _parts([content], json.dumps, images if urls is None else ())


def completed_events(generation: Generation, kind: str) -> Parts:
    """Return the parts of a stream, an event for each image. kind: `image_generation` or `image_edit`."""
    created = generation.finished_at or generation.created_at
    events = [
        {"type": f"{kind}.completed", "b64_json": _SPLIT, "created_at": int(created.timestamp())}
        | {"background": None, "quality": None, "usage": None}
        | _properties(generation, image)
        for image in generation.images
    ]
    return _parts(events, event_text, generation.images)


def event_text(event: Mapping[str, Any]) -> str:
    """Return an event as a client reads it. event: with its `type`."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def partial_event(generation: Generation, partial_image: PartialImage, kind: str) -> tuple[str, str]:
    """Return what stands before and behind the image of a partial image. kind: as in `completed_events`."""
    parameters = generation.request.parameters
    text = event_text(
        {
            "type": f"{kind}.partial_image",
            "partial_image_index": partial_image.partial_index,
            "b64_json": _SPLIT,
            "created_at": int(generation.created_at.timestamp()),
            "background": parameters.get("background", "auto"),
            "quality": parameters.get("quality", "auto"),
            "output_format": partial_image.content_type.removeprefix("image/"),
            "size": f"{partial_image.width}x{partial_image.height}",
        }
    )
    before, _, behind = text.partition(json.dumps(_SPLIT)[1:-1])
    return before, behind


def _properties(generation: Generation, image: Image) -> dict[str, Any]:
    parameters = generation.request.parameters
    chosen = {name: parameters.get(name) for name in ("background", "quality")}
    return {name: value for name, value in chosen.items() if value is not None and value != "auto"} | {
        "output_format": image.content_type.removeprefix("image/"),
        "size": f"{image.width}x{image.height}",
    }


def _parts(
    contents: Sequence[dict[str, Any]], write: Callable[[dict[str, Any]], str], images: Sequence[Image]
) -> Parts:
    """Return text with the images in their places."""
    texts = "".join(write(content) for content in contents).split(json.dumps(_SPLIT)[1:-1])
    parts: list[str | Image] = []
    for text, image in zip(texts, images, strict=False):
        parts += [text, image]
    return [*parts, *texts[len(images) :]]
