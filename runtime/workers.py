"""Running many Temporal workers as one: they start together, and stop together."""

import asyncio
from collections.abc import Sequence

from temporalio.worker import Worker


async def run_workers(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    """Run until stopped, or until one of them fails; then all stop polling at once and drain together.

    So the whole stop takes one grace period, however many queues are busy. Raises what a worker failed with.
    """
    running = [asyncio.create_task(worker.run()) for worker in workers]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((*running, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    stop.set()
    open_workers = [worker for worker, task in zip(workers, running, strict=True) if not task.done()]
    await asyncio.gather(*(worker.shutdown() for worker in open_workers))
    await asyncio.gather(*running)
