"""Calls that come at once go together: one transaction, one lock and one wait for the disk for all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_ITEMS = 100


@dataclass
class _Queue(Generic[Item, Result]):
    """What waits behind the call that is under way."""

    waiting: deque[tuple[Item, asyncio.Future[Result]]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Batches(Generic[Item, Result]):
    """Runs one call of a key at a time; those that come meanwhile are the next.

    A call that is alone is not delayed. If a call of several fails, each of them is run alone, so that no
    item fails for another one.

    run: takes items of one key, and returns their results in the same order.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]) -> None:
        self._run = run
        self._queues: dict[str, _Queue[Item, Result]] = {}

    async def call(self, key: str, item: Item) -> Result:
        """Raise what `run` raises for the item alone."""
        queue = self._queues.setdefault(key, _Queue())
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        queue.waiting.append((item, result))
        if queue.task is None:
            queue.task = asyncio.create_task(self._drain(key, queue))
        return await result

    async def _drain(self, key: str, queue: _Queue[Item, Result]) -> None:
        try:
            while queue.waiting:
                taken = [queue.waiting.popleft() for _ in range(min(len(queue.waiting), _MAX_ITEMS))]
                await self._run_together(taken)
        finally:
            del self._queues[key]
            for _, result in queue.waiting:  # only if this was canceled
                result.cancel()

    async def _run_together(self, taken: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        # Nobody waits any more for one that was canceled.
        wanted = [(item, result) for item, result in taken if not result.done()]
        if not wanted:
            return
        try:
            results = await self._run([item for item, _ in wanted])
            for (_, waiting), result in zip(wanted, results, strict=True):
                if not waiting.done():
                    waiting.set_result(result)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the item came from
            if len(wanted) > 1:
                await asyncio.gather(*(self._run_together([each]) for each in wanted))
            elif not wanted[0][1].done():
                wanted[0][1].set_exception(error)
