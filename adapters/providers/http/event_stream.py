"""Responses as server-sent events: partial images are handed on while the body is on its way to disk."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapters.providers.http.full_disk import ResponseBody
from adapters.transport.http import Response
from domain.provider import OnPartialImage

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LONGEST_BLANK_LINE = 4
# No event with an image is shorter; a partial image that is longer is dropped.
_MIN_EVENT_BYTES, _MAX_EVENT_BYTES = 60, 30_000_000
# Of one response. Others wait for a thread no longer than these take.
_MAX_WAITING = 8


@dataclass(frozen=True)
class StreamFormat:
    """How a provider streams images.

    Attributes:
        read_partial_image: Writes an event's partial image to a file in the folder, and returns its index;
            None where it has none.
        read_whole: Returns what the response would be without a stream; None if it has no end. Both run on a
            thread.
    """

    read_partial_image: Callable[[bytes, Path], tuple[int, Path] | None]
    read_whole: Callable[[Mapping[str, str], bytes], dict[str, Any] | Response | None]


@dataclass(frozen=True)
class Span:
    """Where an event is in the body."""

    start: int
    end: int


def is_event_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("text/event-stream")


def events_of(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the data of each event that is a JSON object."""
    for event in _BLANK_LINE.split(body):
        lines = (line for line in event.splitlines() if line.startswith(b"data:"))
        data = b"\n".join(line.removeprefix(b"data:") for line in lines)
        try:
            parsed = json.loads(data) if data else None
        except (ValueError, RecursionError):
            continue
        if isinstance(parsed, dict):
            yield parsed


class EventScanner:
    """Finds whole events in a body while it arrives in pieces, and keeps none of it."""

    def __init__(self) -> None:
        self._seen_bytes = 0
        self._start = 0
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Span]:
        """Return the events that end in this piece and may have an image."""
        text = self._rest + chunk
        base = self._seen_bytes - len(self._rest)
        found, used = [], 0
        for blank in _BLANK_LINE.finditer(text):
            used = blank.end()
            span = Span(self._start, base + used)
            self._start = span.end
            if _MIN_EVENT_BYTES <= span.end - span.start <= _MAX_EVENT_BYTES:
                found.append(span)
        self._seen_bytes += len(chunk)
        self._rest = text[max(used, len(text) - _LONGEST_BLANK_LINE + 1) :]
        return found


class PartialImageReader:
    """Hands partial images on, in their order, beside the download. What comes too fast is dropped.

    It does nothing where there is no stream, or nobody to hand them to.
    """

    def __init__(
        self,
        stream: StreamFormat | None,
        body: ResponseBody,
        folder: Path,
        threads: ThreadPoolExecutor,
        hand_on: OnPartialImage | None,
    ) -> None:
        self._body = body
        self._folder = folder
        self._threads = threads
        self._scanner = EventScanner()
        # One place more is for the end.
        self._spans: asyncio.Queue[Span | None] = asyncio.Queue(_MAX_WAITING + 1)
        self._running: asyncio.Task[None] | None = None
        self._is_closing = False
        if stream is not None and hand_on is not None:
            self._running = asyncio.create_task(self._run(stream, hand_on))

    def feed(self, chunk: bytes) -> None:
        """Look at a piece of the body that was written."""
        if self._running is None:
            return
        for span in self._scanner.feed(chunk):
            if self._spans.qsize() < _MAX_WAITING:
                self._spans.put_nowait(span)

    async def close(self) -> None:
        """Wait for the partial images that have come: no thread writes into the folder from then on."""
        if self._running is None:
            return
        if not self._is_closing:
            self._is_closing = True
            self._spans.put_nowait(None)
        await asyncio.wait((self._running,))

    async def _run(self, stream: StreamFormat, hand_on: OnPartialImage) -> None:
        while span := await self._spans.get():
            read = partial(self._read, stream, span)
            found = await asyncio.get_running_loop().run_in_executor(self._threads, read)
            if found is not None:
                hand_on(*found)

    def _read(self, stream: StreamFormat, span: Span) -> tuple[int, Path] | None:
        try:
            return stream.read_partial_image(self._body.part(span.start, span.end), self._folder)
        except OSError:
            return None
