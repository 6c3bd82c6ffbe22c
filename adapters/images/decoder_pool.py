"""A few children for all images of a process, given to tenants in turn."""

import asyncio
import logging
from types import TracebackType
from typing import Self

from adapters.images.decoder import Decoder, DecoderDied, DecoderKilled
from adapters.images.fair_queue import FairQueue
from adapters.images.messages import DecodeLimits, DecodeReply, DecodeRequest
from domain.errors import ImageDecoderUnavailable, ResultUnusable

_log = logging.getLogger("darkroom.images")
# An image whose child dies gets another one once. It is to blame only if both died by themselves.
_TRIES = 2


class DecoderPool:
    """Starts its children when it is entered and replaces each that ends, so that no image waits for a start.

    limits: for one image. max_waiting: images of one tenant. wait_seconds: for a child.
    """

    def __init__(self, limits: DecodeLimits, *, children: int, max_waiting: int, wait_seconds: float) -> None:
        self._limits = limits
        self._children = children
        self._queue = FairQueue(children, max_waiting=max_waiting, wait_seconds=wait_seconds)
        # As many as there are places less the images at work: a child, one that is being started, or None
        # where the last start has failed.
        self._idle: list[Decoder | asyncio.Task[Decoder] | None] = []
        self._images: set[asyncio.Task[DecodeReply]] = set()
        self._ends: set[asyncio.Task[None]] = set()
        self._is_closing = False

    async def __aenter__(self) -> Self:
        self._idle = [self._start() for _ in range(self._children)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        for work in self._images:
            work.cancel()
        await asyncio.gather(*self._images, return_exceptions=True)
        for idle in self._idle:
            if isinstance(idle, asyncio.Task):
                idle.cancel()
                [started] = await asyncio.gather(idle, return_exceptions=True)
                if isinstance(started, Decoder):
                    await started.kill()
            elif idle is not None:
                await idle.kill()
        await asyncio.gather(*self._ends, return_exceptions=True)

    async def decode(self, request: DecodeRequest, tenant_id: str) -> DecodeReply:
        """Return what a child found of a usable image.

        Raises ResultUnusable, TooManyAtOnce, ImageDecoderUnavailable. If the caller is canceled, its image
        is finished all the same: another child costs more than most images.
        """
        await self._queue.enter(tenant_id)
        work = asyncio.create_task(self._decode(request, tenant_id))
        self._images.add(work)
        work.add_done_callback(self._images.discard)
        return await asyncio.shield(work)

    async def _decode(self, request: DecodeRequest, tenant_id: str) -> DecodeReply:
        was_killed = False
        try:
            for _ in range(_TRIES):
                try:
                    return _checked(await self._run(request))
                except DecoderDied as error:
                    _log.warning("a decoder of images died: %s", error)
                    was_killed = was_killed or isinstance(error, DecoderKilled)
            if was_killed:
                raise ImageDecoderUnavailable("its decoders were killed")
            raise ResultUnusable("its decoder dies of it")
        finally:
            self._queue.leave(tenant_id)

    async def _run(self, request: DecodeRequest) -> DecodeReply:
        decoder = await self._take()
        is_kept = False
        try:
            reply = await decoder.run(request)
            is_kept = not reply.is_last
            return reply
        finally:
            if is_kept:
                self._idle.append(decoder)
            else:
                self._end(decoder)
                self._idle.insert(0, None if self._is_closing else self._start())

    async def _take(self) -> Decoder:
        idle = self._idle.pop()
        try:
            if isinstance(idle, asyncio.Task):
                await asyncio.wait([idle])
                idle = idle.result() if idle.exception() is None else None
            if idle is None or not idle.is_alive:
                idle = await Decoder.start(self._limits)
        except BaseException:
            self._idle.insert(0, None)
            raise
        return idle

    def _start(self) -> asyncio.Task[Decoder]:
        return asyncio.create_task(Decoder.start(self._limits))

    def _end(self, decoder: Decoder) -> None:
        task = asyncio.create_task(decoder.stop())
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


def _checked(reply: DecodeReply) -> DecodeReply:
    """Return the reply of an image that can be used."""
    if reply.outage is not None:
        _log.warning("an image could not be decoded now: %s", reply.outage)
        raise ImageDecoderUnavailable(reply.outage)
    if reply.error is not None:
        raise ResultUnusable(reply.error)
    return reply
