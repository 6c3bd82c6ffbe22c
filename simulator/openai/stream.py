"""The response as server-sent events: drafts while the work goes on, then the images."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

from simulator.core.connection import cut
from simulator.core.rejected import Rejected
from simulator.core.synchronous.work import Abandoned, Work
from simulator.core.wire import dump
from simulator.openai.errors import server_error
from simulator.openai.usage import described, usage

# The work goes on when its client has left; this keeps it from being collected meanwhile.
_under_way: set[asyncio.Task[list[bytes] | Rejected | Abandoned]] = set()


async def events(work: Work, prefix: str) -> AsyncIterator[bytes]:
    """Yield the events. prefix: `image_generation` or `image_edit`."""
    results = asyncio.create_task(_results(work))
    _under_way.add(results)
    results.add_done_callback(_under_way.discard)
    lost_by: str | None = "client"
    try:
        async for event in _drafts(work, prefix):
            yield event
        images = await asyncio.shield(results)
        if work.fault("lost_answer"):
            lost_by = "fault"
            cut(work.request)
        elif isinstance(images, list):
            for event in _endings(work, prefix, images):
                yield event
            lost_by = None
        elif isinstance(images, Rejected):
            yield _error(images)
            lost_by = None
    finally:
        if lost_by is None:
            work.log("result_served", status=200)
        else:
            work.log("answer_lost", by=lost_by)


async def _results(work: Work) -> list[bytes] | Rejected | Abandoned:
    try:
        return await work.images()
    except (Rejected, Abandoned) as ended:
        return ended


async def _drafts(work: Work, prefix: str) -> AsyncIterator[bytes]:
    count = int(work.order.arguments["partial_images"])
    if work.fault("hang"):
        return
    for index in range(count):
        await work.reach((index + 1) / (count + 1))
        # Negative numbers: no draft is the picture that follows.
        draft = await work.image(-1 - index)
        yield _event(f"{prefix}.partial_image", _described(work, draft) | {"partial_image_index": index})


def _endings(work: Work, prefix: str, images: list[bytes]) -> list[bytes]:
    if work.fault("stream_error"):
        return [_error(server_error())]
    return [
        _event(f"{prefix}.completed", _described(work, image) | {"usage": usage(work.order, len(images))})
        for image in images
    ]


def _described(work: Work, image: bytes) -> dict[str, Any]:
    return {
        "b64_json": b64encode(image).decode(),
        "created_at": int(time.time()),
        **described(work.order),
    }


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + dump({"type": name, **data}) + b"\n\n"


def _error(rejected: Rejected) -> bytes:
    return _event("error", rejected.body)
