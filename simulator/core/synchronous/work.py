"""One accepted request while its client waits: its time, its images and its end."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from simulator.core.faults.switches import Fault
from simulator.core.images.bodies import HTML
from simulator.core.images.render import draw
from simulator.core.jobs import Job, Picture
from simulator.core.rejected import Rejected
from simulator.core.store import Store
from simulator.core.synchronous.job_spec import JobSpec
from simulator.core.synchronous.render_pool import RenderPool

# Faults that let the work go on to its end and leave no images.
FRUITLESS = ("fail", "moderation", "finish_reason", "text_only")
MAX_HANG_SECONDS = 3600
_HANG_STEP_SECONDS = 0.1


class Abandoned(Exception):
    """The client has disconnected."""


@dataclass(frozen=True)
class Work:
    """The work of one request. refusal: the provider's rejection for a fault without images."""

    job: Job
    order: JobSpec
    request: Request
    store: Store
    render_pool: RenderPool
    refusal: Callable[[Fault], Rejected]

    def fault(self, name: str) -> Fault | None:
        return self.job.fault(name)

    async def reach(self, share: float) -> None:
        """Wait until this share of the work's time has passed. Raises Abandoned for a work that hangs."""
        if self.job.ends_at is None:
            await self._hang()
            raise Abandoned
        seconds = (self.job.ends_at - self.job.created_at) * share
        await asyncio.sleep(max(0.0, self.job.created_at + seconds - time.time()))

    async def finish(self) -> int:
        """Wait for the end; return the number of images. Raises Rejected if a fault leaves none."""
        await self.reach(1)
        for name in FRUITLESS:
            if (fault := self.fault(name)) is not None:
                self.done(0)
                raise self.refusal(fault)
        return self._count()

    async def images(self) -> list[bytes]:
        """Return the results once they are ready; they are charged from then on. Raises Rejected."""
        images = [await self.image(index) for index in range(await self.finish())]
        self.done(len(images))
        return images

    async def image(self, index: int, picture: Picture | None = None) -> bytes:
        """Draw an image. picture: another one than requested, such as a draft."""
        if self.fault("wrong_bytes"):
            return HTML
        order = self.order
        return await self.render_pool.run(
            partial(
                draw,
                picture or order.picture,
                order.prompt,
                self.job.id,
                index,
                inputs=order.pasted(),
                transparent=order.transparent,
                quality=order.quality,
            )
        )

    def _count(self) -> int:
        if self.fault("empty_result"):
            return 0
        fewer = self.fault("fewer_images")
        count = self.order.picture.count
        return count if fewer is None else min(count, int(fewer.number("count")))

    def done(self, images: int) -> None:
        self.log("generation_done", images=images, charged=images > 0)

    def log(self, kind: str, **detail: object) -> None:
        self.store.log(kind, self.job.id, self.job.prompt, **detail)

    async def _hang(self) -> None:
        for _ in range(int(MAX_HANG_SECONDS / _HANG_STEP_SECONDS)):
            if await self.request.is_disconnected():
                return
            await asyncio.sleep(_HANG_STEP_SECONDS)
